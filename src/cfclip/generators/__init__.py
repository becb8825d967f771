"""Image generators: StyleGAN2, its formats and key mappings, opening any of them by content."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
