"""What is fitted to a pack: mappers, the text map, statistics of channels; captioned pictures."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
