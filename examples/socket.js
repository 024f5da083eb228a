// The websocket under every JavaScript client: graphql-ws, set up to come back and to go on where it stopped.
import { setTimeout as pause } from "node:timers/promises";

import { createClient } from "graphql-ws";
import WebSocket from "ws"; // A browser has its own; leave webSocketImpl out there.

import { URL_SOCKET, authorization } from "./gateway.js";

const PING_MS = 10_000;
const PONG_MS = 5_000;

/** A client that reconnects for ever, except after a close that repeating cannot fix, such as 4401. */
export function openSocket() {
  let silence;
  const client = createClient({
    url: URL_SOCKET,
    webSocketImpl: WebSocket,
    connectionParams: authorization, // A function: after 4403 (the token expired) it is asked for the next token.
    retryAttempts: Infinity,
    shouldRetry: () => true, // Also after a connection that was refused: graphql-ws by itself retries only closed ones.
    retryWait: (attempt) => pause(Math.min(100 * 2 ** attempt, 10_000) * (0.5 + Math.random())),
    keepAlive: PING_MS,
    on: {
      // A connection that died without a word is noticed only by the pong that does not come.
      ping: (received) => {
        if (!received) silence = setTimeout(() => client.terminate(), PONG_MS);
      },
      pong: () => clearTimeout(silence),
      closed: () => clearTimeout(silence),
    },
  });
  return resuming(client);
}

/**
 * The client, with subscriptions that resume. After a reconnect graphql-ws sends the variables of a subscription again:
 * here they say by then what was seen last, so that each change comes once, however often the connection is lost.
 */
function resuming(client) {
  const subscribe = (payload, sink) => {
    const variables = { ...payload.variables };
    const next = (message) => {
      for (const update of Object.values(message.data ?? {})) {
        if (update.cursor) variables.after = update.cursor; // orderUpdates
        else if (update.order) variables.afterVersion = update.order.version; // orderStatus
      }
      sink.next(message);
    };
    const error = (reason) => sink.error(reason);
    return client.subscribe({ ...payload, variables }, { next, error, complete: () => sink.complete() });
  };
  return { ...client, subscribe };
}
