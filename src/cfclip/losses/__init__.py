"""Losses on embeddings, features and offsets, and the weighted objective; they see no models."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
