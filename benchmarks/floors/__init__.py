"""Floors of the stages: the bare work of each, and a plain implementation."""
