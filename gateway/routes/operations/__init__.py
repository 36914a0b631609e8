"""What operators see and do, with the scope admin: the jobs of all keys, workers, the queue."""
