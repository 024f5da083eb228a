"""What the domain needs from the world, in its own words. Adapters translate and decide nothing."""
