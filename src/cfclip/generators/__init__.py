"""Image generators: StyleGAN2 and the checkpoint formats it is loaded from."""
