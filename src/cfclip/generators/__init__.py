"""Image generators: StyleGAN2, its formats and key mappings, opening any of them by content."""
