"""What people say of answers: checked against the output, stored beside it, applied to exports."""
