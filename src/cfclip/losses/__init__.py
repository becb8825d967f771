"""Losses on embeddings and latents. They take tensors, never models."""
