"""The contract of each port, tested with every adapter: the production one and the fake of unit tests."""
