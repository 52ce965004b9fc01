"""What an evader can do, and what is left of the evidence."""
