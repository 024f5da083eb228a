"""The head of each process: what it opens, what it runs, in which order it stops."""
