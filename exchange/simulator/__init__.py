"""A simulated exchange with the Alpaca wire protocol: matching, faults by seed, and a journal of all events."""
