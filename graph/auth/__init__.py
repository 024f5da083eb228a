"""Who is asking: tokens, scopes, and the cache of verified tokens."""
