"""Edits: sessions, what they start from, methods, results, and making an edit again."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
