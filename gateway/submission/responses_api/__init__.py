"""OpenAI's Responses API: from a request to a chat."""
