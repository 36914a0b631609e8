"""What operators see of all tenants: jobs, and how the queue was."""
