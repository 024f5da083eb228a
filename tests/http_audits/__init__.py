"""The API over HTTP, held against other people's checks: graphql-http's audits, graphql-cop's, and fuzzed requests."""
