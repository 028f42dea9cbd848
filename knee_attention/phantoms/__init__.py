"""Synthetic films whose grades, joint boxes and joint masks are known."""
