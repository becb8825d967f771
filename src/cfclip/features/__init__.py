"""Networks that pictures are compared by: IR-SE50 (identity) and VGG19."""
