"""Which workers there are, how much work waits for them, and what is predicted from that."""
