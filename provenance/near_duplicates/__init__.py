"""Near-duplicates: which images of a version look alike though their bytes differ (docs/method.md, section 2.7)."""
