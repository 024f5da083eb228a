"""The composition root: settings, logs, metrics, resources, and each process."""
