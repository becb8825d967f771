"""What only measures: benchmark runs, their figures and tuning; the world of the avatars."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
