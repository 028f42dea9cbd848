"""Films: reading image files, finding knees, preparing them for a network."""
