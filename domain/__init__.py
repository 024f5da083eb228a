"""What an order gateway is about: values, the order and its rule, the four stories of an order's life."""
