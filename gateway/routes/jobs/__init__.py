"""Jobs: submitting, following, estimating, reviewing, and their groups."""
