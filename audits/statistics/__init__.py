"""Exact tests and the density that they score: arrays in, numbers out. No Django, no torch needed."""
