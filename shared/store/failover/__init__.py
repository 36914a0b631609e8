"""Following the master of a replicated Redis, and writing so that its replicas have it."""
