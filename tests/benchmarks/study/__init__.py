"""The study: one reproducible script for each table."""
