"""Data sets: knees by split, read from folders or HDF5 files, and batches for training."""
