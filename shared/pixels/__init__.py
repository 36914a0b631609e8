"""Pixels of pictures: colours, depth and transparency, and how they are encoded."""
