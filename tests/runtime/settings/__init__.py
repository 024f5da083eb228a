"""The parts of the settings: what is read, what is refused, what is secret."""
