"""The report: one HTML page over finished runs."""
