"""What was read, in the form of Mistral's OCR and of Open WebUI's loader."""
