"""The exchange: the venue port's adapter for the Alpaca Trading API, and a simulated exchange with that protocol."""
