"""The domain's requirements on its environment, in its own terms. Adapters translate and decide nothing."""
