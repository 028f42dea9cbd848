"""The Kellgren-Lawrence scale (1957): five grades of radiographic osteoarthritis of a joint."""

GRADES = range(5)
"""0 none, 1 doubtful, 2 mild, 3 moderate, 4 severe."""

OSTEOARTHRITIS = 2
"""Radiographic osteoarthritis is this grade or a higher one."""

REGRESSION = "regression"
"""The output that is a grade itself and no probabilities, of the network that has one."""
