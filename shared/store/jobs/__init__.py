"""Jobs in Redis: every transition of a row, its tiles, events, indexes and metrics."""
