"""Whether a recipient can tell marked files from all others without looking at their pictures.

What is measured, how, and what it came to: docs/structure.md.
"""
