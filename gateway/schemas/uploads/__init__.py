"""Images and documents that are uploaded before a job names them."""
