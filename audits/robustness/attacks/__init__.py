"""Attacks: a class for each, with its name, what it changes, and its settings; without importing torch."""
