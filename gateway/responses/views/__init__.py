"""Rows and figures as the JSON that clients read, one module for each kind."""
