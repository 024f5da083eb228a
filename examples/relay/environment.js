// Relay's environment: requests by fetch, subscriptions by graphql-ws.
import relay from "relay-runtime";

import { URL_HTTP, authorization, fetchWithin } from "../gateway.js";
import { openSocket } from "../socket.js";

const { Environment, Network, Observable, RecordSource, Store } = relay;

async function request({ text, name }, variables) {
  const response = await fetchWithin(URL_HTTP, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...authorization() },
    body: JSON.stringify({ query: text, operationName: name, variables }),
  });
  return response.json();
}

export const socket = openSocket();

function subscribe({ text, name }, variables) {
  return Observable.create((sink) => socket.subscribe({ query: text, operationName: name, variables }, sink));
}

export const environment = new Environment({
  network: Network.create(request, subscribe),
  store: new Store(new RecordSource()),
});
