"""Units and blocks of a version by a public rule, from which the key of a withheld set chooses (docs/method.md, 9)."""
