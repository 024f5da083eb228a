"""The venue adapter for the Alpaca Trading API, the wire protocol that the simulated exchange uses too."""
