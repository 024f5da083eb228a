"""A simulated exchange behind the Alpaca wire protocol: matching, faults by seed, and a journal of the truth."""
