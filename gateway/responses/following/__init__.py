"""Requests that stay open for a job: event streams, held responses, long polls."""
