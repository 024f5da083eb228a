"""GraphQL documents: parse once, cache, bound, cost, trusted documents."""
