"""The evidence report: the facts of one finished audit, and the document that states them."""
