"""GraphQL over websocket, protocol graphql-transport-ws."""
