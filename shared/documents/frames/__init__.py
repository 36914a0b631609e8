"""Files of many pictures: TIFF pages and the frames of animations, by Pillow, in children only."""
