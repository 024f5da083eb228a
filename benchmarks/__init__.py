"""Measures each stage of an order's life compared with the limit of its lower layer, in the same run. Not packaged."""
