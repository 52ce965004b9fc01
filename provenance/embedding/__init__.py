"""Writing a release: marked images anew in their own format, all other files untouched. No Django, no torch."""
