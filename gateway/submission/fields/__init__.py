"""What a submission may say, by what it is about, and what makes two of them the same."""
