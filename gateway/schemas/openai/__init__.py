"""Files, batches, conversations, responses and models in OpenAI's forms."""
