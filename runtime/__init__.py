"""The composition root: settings, logs, metrics, resources, and the head of each process."""
