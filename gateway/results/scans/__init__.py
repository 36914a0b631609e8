"""Results as they lie on their pictures: searchable PDFs, hOCR, and a picture with its boxes."""
