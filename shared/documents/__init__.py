"""Documents of many pages: their kind, pages, text layers and pictures.

Everything that opens a file runs in a killable child; `DocumentReader` is the only door.
"""
