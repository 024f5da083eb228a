// Apollo Client: place an order, then let its cache follow it until it is final.
import { ApolloClient, ApolloLink, CombinedGraphQLErrors, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { OperationTypeNode } from "graphql";

import { URL_HTTP, answered, authorization, fail, fetchWithin, orderFromArguments, placed, show } from "../gateway.js";
import { openSocket } from "../socket.js";

const ORDER = gql`
  fragment OrderState on Order {
    id
    version
    status
    filledQuantity
  }
`;
const PLACE = gql`
  ${ORDER}
  mutation Place($input: PlaceOrderInput!) {
    placeOrder(input: $input) {
      ... on PlaceOrderSuccess { order { ...OrderState } }
      ... on InvalidOrder { issues { path code message } }
      ... on ClientOrderIdConflict { existingOrder { id } }
      ... on Unavailable { retryAfterMs }
      ... on UserError { code message }
    }
  }
`;
const FOLLOW = gql`
  ${ORDER}
  subscription Follow($orderId: ID!, $afterVersion: Int) {
    orderStatus(orderId: $orderId, afterVersion: $afterVersion) {
      order { ...OrderState }
    }
  }
`;

const socket = openSocket();
const http = new ApolloLink((operation, forward) => {
  operation.setContext({ headers: authorization() });
  return forward(operation);
}).concat(new HttpLink({ uri: URL_HTTP, fetch: fetchWithin }));
const client = new ApolloClient({
  link: ApolloLink.split(
    ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
    new GraphQLWsLink(socket),
    http,
  ),
  cache: new InMemoryCache({
    // So that `... on UserError` also matches failures; made from schema.graphql by any code generator.
    possibleTypes: {
      UserError: ["InvalidOrder", "ClientOrderIdConflict", "OrderDenied", "Unavailable", "OrderNotFound", "NotCancelable"],
    },
  }),
});

async function place(input) {
  const { data, error } = await client.mutate({ mutation: PLACE, variables: { input }, errorPolicy: "all" });
  if (error && !CombinedGraphQLErrors.is(error)) throw error;
  return { data, errors: error?.errors };
}

function follow(order) {
  // Each update carries the whole order under its id, so every query and fragment that shows it is redrawn by the cache.
  const variables = { orderId: order.id, afterVersion: order.version };
  return new Promise((complete, error) => {
    const next = (update) => (update.error ? error(update.error) : show(update.data.orderStatus.order));
    client.subscribe({ query: FOLLOW, variables }).subscribe({ next, error, complete });
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
