"""Shared code of the tests: real servers and processes, fakes of our own ports, examples of orders."""
