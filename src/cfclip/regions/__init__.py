"""Where an edit may act: where it changes much, or in the parts that its text is about."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
