"""Tests of exchange.simulator."""
