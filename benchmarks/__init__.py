"""Measures each stage of an order's life beside the limit of what is under it, in the same run. Not packaged."""
