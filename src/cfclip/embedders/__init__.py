"""Joint embedders of images and texts: where CLIPs are, what they may say, prompts, templates."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
