"""Alternative implementations, each with its own locked packages in a separate environment."""
