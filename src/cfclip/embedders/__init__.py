"""Joint embedders of images and texts."""
