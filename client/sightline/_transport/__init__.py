"""HTTP below both clients: performing steps, reading event streams, finding the service."""
