"""A web page and an HTTP API for grading films."""
