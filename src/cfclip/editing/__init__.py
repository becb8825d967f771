"""Edits: sessions, what they start from, methods, results, and making an edit again."""
