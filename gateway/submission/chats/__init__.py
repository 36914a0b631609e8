"""OpenAI's chats: a request's messages and parameters, and the earlier messages that are kept."""
