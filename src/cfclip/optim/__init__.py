"""Gradient descent: the loop that inversion and editing share, and its schedule."""
