"""Baselines that the service is compared with; they need `pip install -e '.[bench]'`."""
