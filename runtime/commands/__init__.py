"""The commands of people beside the long-running processes: operators, instruments, settings, alerts."""
