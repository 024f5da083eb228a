"""The use cases, one per file, and the mechanisms they share. They reach the world through `domain.ports` only."""
