"""Numbers and pictures of what a model said, out of arrays."""
