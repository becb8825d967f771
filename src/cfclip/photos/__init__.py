"""Photographs: faces found, cut as FFHQ's pictures were, and put back after the edit."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
