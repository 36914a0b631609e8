"""What grey pictures of pages show, as pure functions on arrays: ink, writing, which way is up."""
