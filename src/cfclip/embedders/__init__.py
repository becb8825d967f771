"""Joint embedders of images and texts: where CLIPs are, what they may say, prompts, templates."""
