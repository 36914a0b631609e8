"""Finds where the values of an answer stand, among the words that were seen on images and pages.

The model is not asked: a value that nobody has printed is not found, however sure the model was.
"""
