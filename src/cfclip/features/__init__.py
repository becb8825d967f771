"""Networks that pictures are compared by: IR-SE50 (identity) and VGG19."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
