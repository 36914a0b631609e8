"""What the accept path is compared with; needs `pip install -e '.[bench]'`."""
