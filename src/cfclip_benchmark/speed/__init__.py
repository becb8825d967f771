"""How fast this machine edits, trains and inverts, with models of random weights of any size."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
