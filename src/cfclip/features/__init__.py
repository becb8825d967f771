"""Trained networks that images are compared by, or encoded with."""
