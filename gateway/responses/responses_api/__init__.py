"""OpenAI's Responses API: a job as a response, whole or as a stream of events."""
