"""`sightline-admin`: makes, lists, changes, rotates and revokes API keys; sums up their usage."""

from gateway.admin.command import build_parser, main, run

__all__ = ["build_parser", "main", "run"]
