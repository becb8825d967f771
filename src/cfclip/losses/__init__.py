"""Losses on embeddings, features and offsets, and the weighted objective; they see no models."""
