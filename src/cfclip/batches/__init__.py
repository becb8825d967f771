"""Editing any number of pictures, one result each, whatever happens on the way."""
