"""Pictures as files: which are some, decoding within limits, colours as sRGB, PNGs and GIFs."""
