"""Routes that read documents in the form of other services: Mistral's OCR, Open WebUI's loader."""
