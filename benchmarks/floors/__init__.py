"""What the stages are compared with: the bare work under each, and how it is done without our means."""
