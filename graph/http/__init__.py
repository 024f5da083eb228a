"""GraphQL over HTTP, and the GraphiQL page."""
