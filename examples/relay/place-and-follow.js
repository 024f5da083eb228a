// Relay: place an order, then follow it until it is final.
import relay from "relay-runtime";

import { answered, fail, orderFromArguments, placed, show } from "../gateway.js";
// What the compiler made of orders.js. With babel-plugin-relay the graphql tags stand here themselves.
import FOLLOW from "./__generated__/ordersFollowSubscription.graphql.js";
import PLACE from "./__generated__/ordersPlaceMutation.graphql.js";
import { environment, socket } from "./environment.js";

const { commitMutation, requestSubscription } = relay;

function place(input) {
  return new Promise((resolve, reject) => {
    commitMutation(environment, {
      mutation: PLACE,
      variables: { input },
      onCompleted: (data, errors) => resolve({ data, errors: errors ?? undefined }),
      onError: (error) => (error.source ? resolve(error.source) : reject(error)), // An answer without data, or none.
    });
  });
}

function follow(order) {
  const variables = { orderId: order.id, afterVersion: order.version };
  return new Promise((onCompleted, onError) => {
    const onNext = (data) => show(data.orderStatus.order);
    requestSubscription(environment, { subscription: FOLLOW, variables, onNext, onCompleted, onError });
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
