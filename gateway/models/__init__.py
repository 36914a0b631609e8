"""Which model a request means, and which workers serve it."""
