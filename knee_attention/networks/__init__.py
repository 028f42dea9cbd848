"""Keras networks: backbones, attention branches, heads, and their model files."""
