"""Many pictures, one result each, whatever happens on the way: rows, workers, shards, resuming."""
