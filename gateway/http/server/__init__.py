"""The gunicorn worker: its connections, their pace and number, the bodies in flight, its end."""
