"""Plots (Matplotlib) and pictures of knees (OpenCV)."""
