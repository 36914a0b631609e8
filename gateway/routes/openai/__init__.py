"""Routes of OpenAI's API: chats and models, responses, files, batches."""
