"""Small training runs: what they learn from, how they learn, and what is kept of them."""
