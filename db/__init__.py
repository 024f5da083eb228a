"""PostgreSQL, the source of truth: tables, transactions, repositories and migrations."""
