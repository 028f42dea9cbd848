"""Grading films with a saved model."""
