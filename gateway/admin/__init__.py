"""`sightline-admin`: API keys and their usage; the jobs of all keys; the workers."""

from gateway.admin.command import build_parser, main, run

__all__ = ["build_parser", "main", "run"]
