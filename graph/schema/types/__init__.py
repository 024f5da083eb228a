"""The object types of the schema. Each is a plain value made from the domain's; resolvers read what costs a query."""
