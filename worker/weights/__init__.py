"""Gets a model's weights from where they are: a folder, a hub or its mirror, ModelScope.

place.py reads the name; fetching.py brings the files; everything it raises is a WeightsError.
"""
