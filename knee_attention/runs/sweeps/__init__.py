"""Sweeps: the trainings (cells) of a table or a search, and a queue for several workers."""
