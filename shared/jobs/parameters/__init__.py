"""What a caller may ask of a job beside question and images: how, where and when it is answered."""
