"""Requests of Mistral's OCR and of Open WebUI's loader as submissions of ours."""
