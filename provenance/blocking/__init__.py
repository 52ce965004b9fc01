"""Units and blocks of a version by a public rule, for the key of a withheld set (docs/method.md, section 12)."""
