"""A pilot: small trainings that say before a release what marks would cost and what an audit would find.

Models learn from marked and from unmarked images of the owner's own data, and are audited by the product's own tests.
"""
