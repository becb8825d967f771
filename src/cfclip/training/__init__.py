"""Training of text mappers, and the parts of any training: runs, checkpoints, averages."""
