"""Live changes: one message format, the publisher after a commit, and the hub that serves a process's subscribers."""
