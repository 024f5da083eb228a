"""What Alembic runs for every command: the migrations, on the connection and in the transaction of `db.migrate`."""

from alembic import context

from db.columns import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
