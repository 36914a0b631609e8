"""A job as OpenAI's chat completion, whole or as a stream."""
