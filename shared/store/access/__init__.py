"""Who calls: API keys, their limits, and what each tenant has used."""
