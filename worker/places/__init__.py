"""Finds where the lines of a text stand, among the words that the second reader has seen.

The second reader tells places and reads them too; whoever wrote the text (the model, or tiles that
were joined) may have left out, joined, reordered or misread lines. A line gets a place only where
it is sure which of the words seen are its own.
"""
