"""The training of the joint localiser: its films, what it learns of them, and how well."""
