// urql: place an order, then follow it until it is final.
import { Client, fetchExchange, gql, subscriptionExchange } from "@urql/core";

import { URL_HTTP, answered, authorization, fail, fetchWithin, orderFromArguments, placed, show } from "../gateway.js";
import { openSocket } from "../socket.js";

const PLACE = gql`
  mutation Place($input: PlaceOrderInput!) {
    placeOrder(input: $input) {
      __typename
      ... on PlaceOrderSuccess { order { id version status filledQuantity } }
      ... on InvalidOrder { issues { path code message } }
      ... on ClientOrderIdConflict { existingOrder { id } }
      ... on Unavailable { retryAfterMs }
      ... on UserError { code message }
    }
  }
`;
const FOLLOW = gql`
  subscription Follow($orderId: ID!, $afterVersion: Int) {
    orderStatus(orderId: $orderId, afterVersion: $afterVersion) {
      order { id version status filledQuantity }
    }
  }
`;

const socket = openSocket();
const client = new Client({
  url: URL_HTTP,
  fetch: fetchWithin,
  fetchOptions: () => ({ headers: authorization() }),
  exchanges: [
    fetchExchange,
    subscriptionExchange({
      forwardSubscription: (operation) => ({
        subscribe: (sink) => ({ unsubscribe: socket.subscribe(operation, sink) }),
      }),
    }),
  ],
});

async function place(input) {
  const { data, error } = await client.mutation(PLACE, { input }).toPromise();
  if (error?.networkError) throw error;
  return { data, errors: error?.graphQLErrors };
}

function follow(order) {
  const variables = { orderId: order.id, afterVersion: order.version };
  return new Promise((complete, refuse) => {
    client.subscription(FOLLOW, variables).subscribe(({ data, error, hasNext }) => {
      if (error) refuse(error);
      else if (hasNext) show(data.orderStatus.order);
      else complete(); // With the last result once more: that one was shown.
    });
  }).finally(() => socket.dispose());
}

const input = orderFromArguments();
try {
  const order = placed(await answered(() => place(input)));
  show(order);
  await follow(order);
} catch (error) {
  fail(error);
}
