"""Films graded by a saved model."""
