"""Knees by split, and how training meets them."""
