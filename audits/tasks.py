"""Kinds of jobs of this app; what they do lives in services."""
