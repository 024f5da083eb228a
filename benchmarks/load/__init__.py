"""The load generator: a process of its own that asks and listens, so that it takes no time from what it measures."""
