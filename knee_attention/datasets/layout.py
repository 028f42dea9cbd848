"""How a folder of knees by split and grade is laid out."""

SPLITS = ("train", "validation", "test")

SPLIT_OF_FOLDER = {"train": "train", "validation": "validation", "val": "validation",
                   "test": "test"}  # fmt: skip
"""What a data set's folders hold; public knee sets say `val`."""
