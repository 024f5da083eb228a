"""The API over HTTP, checked by external tools: graphql-http's audits, graphql-cop's, and fuzzed requests."""
