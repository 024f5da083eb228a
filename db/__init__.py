"""PostgreSQL, the owner of the truth: tables, transactions, repositories and migrations."""
