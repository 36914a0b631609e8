"""How an image lies: told by reading some of its lines in several turns, and mapped back."""
