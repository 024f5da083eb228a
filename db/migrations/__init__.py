"""The steps by which the tables got their shape, run by Alembic."""
