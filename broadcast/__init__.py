"""How a committed change reaches every subscriber: one message format, the publisher, the hub, the live feed.

Redis pub/sub is a hint, at most once. Sequences say what a hint missed, and the change log supplies it.
"""
