// The audits of graphql-http (GraphQL over HTTP), run against one address: node http_audits.mjs URL TOKEN.
// Prints a JSON list of {id, name, status, reason}; the status is ok, notice (MAY), warn (SHOULD) or error (MUST).
import { auditServer } from "graphql-http";

const [url, token] = process.argv.slice(2);

const fetchFn = (address, options = {}) =>
  fetch(address, { ...options, headers: { authorization: `Bearer ${token}`, ...options.headers } });

const results = await auditServer({ url, fetchFn });
console.log(JSON.stringify(results.map(({ id, name, status, reason }) => ({ id, name, status, reason }))));
