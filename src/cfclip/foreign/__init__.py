"""Files of other programs, read as data: pickles, archives, tensors, state dicts, latents."""
