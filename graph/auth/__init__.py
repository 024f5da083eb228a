"""Authentication: tokens, scopes, and the cache of verified tokens."""
