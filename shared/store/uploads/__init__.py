"""What callers upload: images, documents and files in Redis."""
