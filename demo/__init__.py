"""The demonstration model: drawing, training, evaluation and the checkpoint itself."""
