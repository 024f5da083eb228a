"""The GraphQL schema: root types, fields, scalars, cursors and ids."""
