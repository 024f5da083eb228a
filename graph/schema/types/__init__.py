"""The object types of the schema. Each is a plain value made from the domain's; what costs a query is a resolver."""
