// What every example needs: where the gateway is and who asks, an order, and a way to place it safely.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";

export const URL_HTTP = process.env.FILLWIRE_URL ?? "http://127.0.0.1:8000/graphql";
export const URL_SOCKET = URL_HTTP.replace(/^http/, "ws");

const LOCAL_TOKEN = new URL("../.local/token", import.meta.url);

/** The headers of every request, and the first message of every socket. Called for each: tokens expire. */
export function authorization() {
  const token = process.env.FILLWIRE_TOKEN ?? readFileSync(LOCAL_TOKEN, "utf8").trim();
  return { Authorization: `Bearer ${token}` };
}

/** One intent, one clientOrderId: made here, once, and sent unchanged however often the order has to be sent. */
export function orderFromArguments() {
  const [isin = "US0378331005", side = "BUY", quantity = "90"] = process.argv.slice(2);
  return { clientOrderId: randomUUID(), isin, side, type: "MARKET", quantity };
}

/** fetch that gives up: without a time-out a lost answer is waited for as long as TCP does. */
export const fetchWithin = (url, options) => fetch(url, { ...options, signal: AbortSignal.timeout(10_000) });

const TRY_AGAIN = new Set(["INTERNAL", "TIMED_OUT", "UNAVAILABLE"]);

/**
 * Send until there is an answer; gives the result, a member of the mutation's union. `send` gives { data, errors } and
 * must be safe to repeat. placeOrder is: the same clientOrderId gives back the same order, and nothing is placed twice.
 */
export async function answered(send, { attempts = 8 } = {}) {
  let wait = 200;
  for (let attempt = 1; attempt <= attempts; attempt += 1, wait = Math.min(2 * wait, 10_000)) {
    const { data, errors = [] } = await send().catch((error) => {
      console.error(`No answer (${error.message}). The order is sent again.`);
      return {};
    });
    const refusal = errors.find(({ extensions }) => !TRY_AGAIN.has(extensions?.code));
    if (refusal) throw new Error(`${refusal.extensions?.code}: ${refusal.message}`);
    const [result] = Object.values(data ?? {});
    if (result && result.__typename !== "Unavailable") return result;
    await pause(Math.max(result?.retryAfterMs ?? 0, wait * (0.5 + Math.random())));
  }
  throw new Error("No answer. Whether the order was stored is known by asking orderByClientOrderId.");
}

/** The placed order, or an Error that says what to mend. A failure that is added to the API later ends in `default`. */
export function placed(result) {
  switch (result.__typename) {
    case "PlaceOrderSuccess":
      return result.order;
    case "InvalidOrder":
      throw new Error(result.issues.map(({ path, code, message }) => `${path.join(".")} ${code}: ${message}`).join("\n"));
    case "ClientOrderIdConflict":
      throw new Error(`${result.message} It is the order ${result.existingOrder.id}.`);
    default:
      throw new Error(`${result.code}: ${result.message}`);
  }
}

export function show({ version, status, filledQuantity }) {
  console.log(version, status, filledQuantity);
}

/** Ends the example with the error's sentence, or with what closed the socket for good, such as 4401. */
export function fail(error) {
  const { code, reason, message } = error.networkError ?? error; // urql keeps it there.
  console.error(message ?? `The socket was closed with ${code} ${reason}`);
  process.exit(1);
}
