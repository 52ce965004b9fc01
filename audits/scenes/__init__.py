"""Procedural images with captions, for the demo and for calibrations."""
