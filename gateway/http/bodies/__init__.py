"""Bodies of requests, parsed within bounds: strict JSON and multipart forms."""
