"""Webhook deliveries and their endpoints in Redis."""
