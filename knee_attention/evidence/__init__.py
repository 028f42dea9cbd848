"""What is shown: numbers, figures and tables."""
