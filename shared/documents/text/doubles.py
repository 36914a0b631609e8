"""Leaves out what is drawn twice at one place: letters made bold in this way, or with a shadow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shared.documents.text.glyphs import Flags, Glyphs

#: How far the second letter lies aside, in widths of the letter, and above or below, in heights.
_MOST_ASIDE, _MOST_ABOVE = 0.45, 0.15
#: Side of the squares in which letters are compared, in median heights, and how many of a square.
_SQUARE = 0.6
_COMPARED = 3
#: Share of the characters of an object that are doubles where it was drawn to be one.
_LEAST_DOUBLED = 0.8
#: Letters that UTF-16 writes as two: tables of some programs name them twice, and no ligature
#: has two that are the same.
_FIRST_RARE = 0x10000


def without_doubles(glyphs: Glyphs) -> Glyphs:
    """Return the characters without those that another one like it stands under."""
    drawn = np.flatnonzero(glyphs.drawn)
    if len(drawn) < 2:
        return glyphs
    letters = glyphs.select(glyphs.drawn)
    doubles = _of_doubled_objects(_find_doubles(letters), letters.owners) | _find_twins(letters)
    kept = np.ones(len(glyphs), bool)
    kept[drawn[doubles]] = False
    return glyphs if kept.all() else glyphs.select(kept)


def _find_twins(glyphs: Glyphs) -> Flags:
    """Tell which characters, (n,), are rare and have code and place of the one before."""
    twins = np.zeros(len(glyphs), bool)
    twins[1:] = (glyphs.boxes[1:] == glyphs.boxes[:-1]).all(axis=1)
    twins[1:] &= (glyphs.codes[1:] == glyphs.codes[:-1]) & (glyphs.codes[1:] >= _FIRST_RARE)
    return twins


def _of_doubled_objects(doubles: Flags, owners: NDArray[np.uint64]) -> Flags:
    """Return the doubles in objects most of whose characters are; others are there by chance."""
    _, objects = np.unique(owners, return_inverse=True)
    shares = np.bincount(objects, doubles) / np.bincount(objects)
    kept: Flags = doubles & (shares >= _LEAST_DOUBLED)[objects]
    return kept


def _find_doubles(glyphs: Glyphs) -> Flags:
    """Tell which characters, (n,), repeat one that was drawn by itself."""
    codes, boxes, owners = glyphs.codes, glyphs.boxes, glyphs.owners
    places = (boxes[:, :2] + boxes[:, 2:]) / 2
    sizes = np.maximum(boxes[:, 2:] - boxes[:, :2], 0.1)
    side = _SQUARE * max(0.5, float(np.median(sizes[:, 1])))
    doubles = np.zeros(len(codes), bool)
    # two places that are near each other are in one square of one of these grids
    for shift in ((0, 0), (0.5, 0), (0, 0.5), (0.5, 0.5)):
        squares = np.floor(places / side + np.array(shift))
        order = np.lexsort((places[:, 0], squares[:, 1], squares[:, 0], codes))
        for step in range(1, _COMPARED + 1):
            one, other = order[:-step], order[step:]
            near = np.abs(places[one] - places[other]) < sizes[one] * (_MOST_ASIDE, _MOST_ABOVE)
            # the letters of a ligature have one place as well, but they are drawn together
            same = (codes[one] == codes[other]) & (owners[one] != owners[other]) & near.all(axis=1)
            doubles[np.maximum(one, other)[same]] = True
    return doubles
