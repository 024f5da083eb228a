"""The domain: the order and its rules, the ports, and the use cases of an order's life."""
