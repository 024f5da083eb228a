"""Delivery of a committed change to every subscriber: one message format, the publisher, the hub, the live feed.

Redis pub/sub is a hint, at most once. Sequences show which hints were missed, and the change log supplies the changes.
"""
