"""Trainings of mappers, and the parts of any: runs, saved states, averages, several processes."""
