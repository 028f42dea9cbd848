"""The Kellgren-Lawrence scale (1957): five grades of radiographic osteoarthritis."""

GRADES = range(5)
"""0 none, 1 doubtful, 2 mild, 3 moderate, 4 severe."""

OSTEOARTHRITIS = 2
"""The lowest grade that counts as radiographic osteoarthritis."""

REGRESSION = "regression"
"""Name of the regression output: a grade, not probabilities (joint baseline only)."""
