"""What pictures tell of how they were made: records, metadata, signatures, names of files."""
