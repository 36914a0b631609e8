"""Batches: lines of a file that become jobs as there is room, and the files of their results."""
