"""The processes, a module for each: what it opens, what it runs, in which order it stops."""
