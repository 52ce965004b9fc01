"""What an evader can do to a copy, its training and its model, and how much of the evidence is left afterwards."""
