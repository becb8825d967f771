"""Trainings of mappers, and the parts of any: runs, saved states, averages, several processes."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
