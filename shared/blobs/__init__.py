"""Large contents outside Redis: a bucket or a folder, reached under time limits and measured."""
