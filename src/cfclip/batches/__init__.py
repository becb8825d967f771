"""Many pictures, one result each, whatever happens on the way: rows, workers, shards, resuming."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
