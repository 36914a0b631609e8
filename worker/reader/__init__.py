"""The second reader: text, places and certainties of an image's lines, without the model.

    from worker.reader.reader import SecondReader

    reader = SecondReader(find_weights(), threads=2)
    reading = reader.start(image)       # in threads of its own
    page = reading.result()             # a ReadPage: text, lines, fragments, polygons

Two networks of PP-OCR do the work: one finds lines, one reads them; layout.py orders them. This
package imports neither OpenCV nor onnxruntime, only reader.py does.
"""

from worker.reader.page import Fragment, ReadLine, ReadPage, Word
from worker.reader.reading import Reading, ReadingStopped
from worker.reader.weights import ReaderIncomplete, ReaderWeights, find_weights

__all__ = [
    "Fragment",
    "ReadLine",
    "ReadPage",
    "ReaderIncomplete",
    "ReaderWeights",
    "Reading",
    "ReadingStopped",
    "Word",
    "find_weights",
]
