"""What an answer has beside its text: lines and their places, evidence, things found, doubts."""
