"""The rendered world of the avatars, in which the true answer to every edit is known.

Needs the extra `bench`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
