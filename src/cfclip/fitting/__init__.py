"""What is fitted to a pack: mappers, the text map, statistics of channels; captioned pictures."""
