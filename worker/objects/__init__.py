"""Finds the places of what a job looks for: in the text that was read, and by asking the model.

A word is found where it is printed, by the second reader or the own text of a page. A thing that is
not printed is pointed at by the model, on a grid that does not depend on the size of the picture.
"""
