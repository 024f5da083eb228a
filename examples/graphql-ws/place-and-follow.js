// Nothing but fetch and graphql-ws: place an order, then print each of its changes once, until it is final.
import { URL_HTTP, answered, authorization, fail, fetchWithin, orderFromArguments, placed, show } from "../gateway.js";
import { openSocket } from "../socket.js";

const PLACE = `
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
const FOLLOW = `
  subscription Follow($orderId: ID!, $afterVersion: Int) {
    orderStatus(orderId: $orderId, afterVersion: $afterVersion) {
      order { version status filledQuantity }
    }
  }
`;

async function post(query, variables) {
  const response = await fetchWithin(URL_HTTP, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...authorization() },
    body: JSON.stringify({ query, variables }),
  });
  return response.json();
}

function follow(order) {
  const socket = openSocket();
  const variables = { orderId: order.id, afterVersion: order.version };
  return new Promise((complete, error) => {
    const next = ({ data, errors }) => (data ? show(data.orderStatus.order) : error(errors[0]));
    socket.subscribe({ query: FOLLOW, variables }, { next, error: (reason) => error([reason].flat()[0]), complete });
  }).finally(() => socket.dispose());
}

const input = orderFromArguments();
try {
  const order = placed(await answered(() => post(PLACE, { input })));
  show(order);
  await follow(order);
} catch (error) {
  fail(error);
}
