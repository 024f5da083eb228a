"""Pure values and rules of an order. No asyncio, clock, randomness or logging."""
