"""Gradient descent: the loop that inversion and editing share, and its schedule."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
