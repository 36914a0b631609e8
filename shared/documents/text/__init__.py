"""Text layers: from characters with their boxes to lines in reading order, and what to doubt."""
