"""Jobs that look for something: in an image, in the tiles of a long one, on the pages of a file."""
