"""The images of a request or an upload: read by id, URL or bytes, decoded, cut into tiles."""
