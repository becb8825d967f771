"""Inversion: encoders, projection by optimisation, pivotal tuning of the generator."""
