"""Metrics, intervals, tables, figures and the report, computed from predictions."""
