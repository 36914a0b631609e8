"""What a worker knows already that an answer may follow: such texts make it faster."""
