"""What a person chooses for a plan, each choice declared once. No Django: forms, commands and pages read it."""
