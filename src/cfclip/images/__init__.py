"""Pictures as files: which are some, decoding within limits, colours as sRGB, PNGs and GIFs."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
