"""The commands of people, in addition to the long-running processes: operators, instruments, settings, alerts."""
