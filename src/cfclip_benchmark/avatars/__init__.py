"""The rendered world of the avatars, in which the true answer to every edit is known.

Needs the extra `bench`.
"""
