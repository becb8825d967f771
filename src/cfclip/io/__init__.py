"""Files, locks and texts: written whole, read within limits, by one process at a time."""
