"""Intake: from untrusted archives and folders to an immutable manifest. Pure Python and Pillow; no Django."""
