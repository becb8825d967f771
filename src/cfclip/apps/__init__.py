"""Programs on top of the library; the only part that prints."""
