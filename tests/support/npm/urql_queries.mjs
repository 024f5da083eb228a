// urql's client as it is without options, against one address: node urql_queries.mjs URL TOKEN.
// Runs a query and a mutation; prints a JSON list of the methods that it took, and of the answers.
import { Client, fetchExchange } from "@urql/core";

const [url, token] = process.argv.slice(2);
const methods = [];
const client = new Client({
  url,
  exchanges: [fetchExchange],
  fetchOptions: { headers: { authorization: `Bearer ${token}` } },
  fetch: (address, options) => {
    methods.push(options.method);
    return fetch(address, options);
  },
});
const results = [
  await client.query("query Viewer($n: Int) { viewer { accountId } orders(first: $n) { nodes { id } } }", { n: 1 }),
  await client.mutation("mutation { __typename }", {}),
];
console.log(JSON.stringify({ methods, data: results.map(({ data }) => data), errors: results.map(({ error }) => error) }));
