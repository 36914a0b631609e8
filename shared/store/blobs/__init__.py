"""What Redis knows of the blobs that rows name, and their end."""
