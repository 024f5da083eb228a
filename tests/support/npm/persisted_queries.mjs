// Apollo Client's automatic persisted queries against one address: node persisted_queries.mjs URL TOKEN.
// Runs one query twice, first by POST and then by GET; prints a JSON list of the data and of the requests that it took.
import { createHash } from "node:crypto";

import { ApolloClient, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";

const [url, token] = process.argv.slice(2);
const query = gql`query Viewer { viewer { accountId } }`;
const sha256 = (text) => createHash("sha256").update(text).digest("hex");

const results = [];
for (const useGETForHashedQueries of [false, true]) {
  const requests = [];
  const fetchCounted = (address, options) => {
    const sent = options.body ? JSON.parse(options.body) : Object.fromEntries(new URL(address).searchParams);
    requests.push(`${options.method}${sent.query ? " with text" : ""}`);
    return fetch(address, options);
  };
  const http = new HttpLink({ uri: url, fetch: fetchCounted, headers: { authorization: `Bearer ${token}` } });
  const client = new ApolloClient({
    link: new PersistedQueryLink({ sha256, useGETForHashedQueries }).concat(http),
    cache: new InMemoryCache(),
  });
  const { data } = await client.query({ query, fetchPolicy: "no-cache" });
  results.push({ account: data.viewer.accountId, requests });
}
console.log(JSON.stringify(results));
