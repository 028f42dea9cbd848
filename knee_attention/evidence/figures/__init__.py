"""Figures of numbers (Matplotlib) and pictures of knees (OpenCV)."""
