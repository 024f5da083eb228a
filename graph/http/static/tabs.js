// What GraphiQL's tabs hold at first: place an order, follow it, follow all, look back, place one that rests, cancel it.
"use strict";

// Put in when the operation is run.
const NEW = "new";
const LAST = "last";
const OPEN = "open";

const PLACE = `# Answered at once. Then run the next tab.
# "${NEW}" makes a fresh clientOrderId each time;
# with one of your own the same order comes back.
mutation PlaceOrder($input: PlaceOrderInput!) {
  placeOrder(input: $input) {
    __typename
    ... on PlaceOrderSuccess {
      replayed
      order {
        id
        clientOrderId
        status
        version
        instrument { symbol name }
      }
    }
    ... on UserError { code message path }
    ... on InvalidOrder {
      issues { path code message }
    }
  }
}
`;

const PLACE_LIMIT = `# Far below the market, so it rests at the venue:
# CancelOrder has something to cancel.
mutation PlaceLimitOrder($input: PlaceOrderInput!) {
  placeOrder(input: $input) {
    __typename
    ... on PlaceOrderSuccess {
      order {
        id
        clientOrderId
        status
        version
        limitPrice
      }
    }
    ... on UserError { code message path }
    ... on InvalidOrder {
      issues { path code message }
    }
  }
}
`;

const FOLLOW = `# The order now, then each change as it comes.
# "${LAST}" stands for your newest order.
subscription FollowOrder($orderId: ID!) {
  orderStatus(orderId: $orderId) {
    kind
    order {
      clientOrderId
      status
      version
      filledQuantity
      averagePrice
      history {
        nodes {
          kind
          at
          execution { quantity price }
        }
      }
    }
  }
}
`;

const FOLLOW_ALL = `# Run it, then place an order in a new window:
# each change of each order, once and in order.
subscription FollowAccount {
  orderUpdates {
    kind
    cursor
    order {
      clientOrderId
      status
      version
      filledQuantity
      averagePrice
    }
    change {
      kind
      at
      execution { quantity price }
    }
  }
}
`;

const ORDERS = `query Orders {
  viewer { accountId scopes tokenExpiresAt }
  orders(first: 10) {
    nodes {
      id
      clientOrderId
      side
      quantity
      status
      filledQuantity
      averagePrice
      createdAt
    }
    pageInfo { hasNextPage endCursor }
  }
}
`;

const CANCEL = `# Asked for at once, and confirmed by the venue a little later:
# the tab that follows the order shows both.
# "${OPEN}" stands for your newest order that is not final.
mutation CancelOrder($orderId: ID!) {
  cancelOrder(input: { orderId: $orderId }) {
    __typename
    ... on CancelOrderSuccess {
      order { id status version filledQuantity }
    }
    ... on NotCancelable {
      order { id status }
    }
    ... on UserError { code message path }
  }
}
`;

function exampleOrder(terms) {
  return JSON.stringify({ input: { clientOrderId: NEW, isin: "US0378331005", side: "BUY", ...terms } }, null, 2);
}

function forOrder(word) {
  return JSON.stringify({ orderId: word }, null, 2);
}

const TABS = [
  { query: PLACE, variables: exampleOrder({ type: "MARKET", quantity: "100" }) },
  { query: FOLLOW, variables: forOrder(LAST) },
  { query: FOLLOW_ALL },
  { query: ORDERS },
  { query: PLACE_LIMIT, variables: exampleOrder({ type: "LIMIT", quantity: "100", limitPrice: "150.00" }) },
  { query: CANCEL, variables: forOrder(OPEN) },
];
