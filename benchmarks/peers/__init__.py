"""What people would build instead, each with its own locked packages in an environment of its own."""
