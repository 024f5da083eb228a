"""The public GraphQL API: schema, resolvers, subscriptions and their websocket handler."""
