"""PDFs, by PDFium. It is not thread-safe and reads hostile files: only children import this."""
