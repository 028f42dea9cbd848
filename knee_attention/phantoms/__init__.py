"""Phantoms: synthetic films with known grades, joint boxes and joint masks."""
