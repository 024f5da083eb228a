// Starts GraphiQL with the development token and three tabs: place an order, follow it, look at all orders.
"use strict";

const PLACE = `# Each run with the same clientOrderId gives the same order back: change it for a new one.
mutation PlaceOrder($input: PlaceOrderInput!) {
  placeOrder(input: $input, waitMs: 2000) {
    __typename
    ... on PlaceOrderSuccess {
      replayed
      order { id status filledQuantity leavesQuantity version instrument { symbol name } }
    }
    ... on UserError { code message path }
    ... on InvalidOrder { issues { path code message } }
  }
}
`;

const FOLLOW = `# Run this first, then place orders in the first tab: every change arrives here, once and in order.
subscription FollowOrders {
  orderUpdates {
    kind
    cursor
    order { id clientOrderId status filledQuantity averagePrice version }
    change { kind at execution { quantity price } }
  }
}
`;

const ORDERS = `query Orders {
  viewer { accountId scopes tokenExpiresAt }
  orders(first: 10) {
    nodes { id clientOrderId side quantity limitPrice status filledQuantity averagePrice createdAt }
    pageInfo { hasNextPage endCursor }
  }
}
`;

function exampleOrder() {
  const input = {
    clientOrderId: `graphiql-${Date.now()}`,
    isin: "US0378331005",
    side: "BUY",
    type: "LIMIT",
    quantity: "10",
    limitPrice: "150.00",
  };
  return JSON.stringify({ input }, null, 2);
}

function start() {
  const container = document.getElementById("graphiql");
  if (typeof GraphiQLPluginExplorer === "undefined") {
    container.textContent =
      "GraphiQL could not be loaded: its files are neither here nor could they be fetched from the internet. " +
      "With node and npm installed, run: python3 tools/graphiql/install.py";
    return;
  }
  const token = document.querySelector('meta[name="fillwire-token"]').content;
  const authorization = token ? { Authorization: `Bearer ${token}` } : {};
  const headers = JSON.stringify(authorization, null, 2);
  const { host, protocol } = window.location;
  const fetcher = GraphiQL.createFetcher({
    url: "/graphql",
    subscriptionUrl: `${protocol === "https:" ? "wss" : "ws"}://${host}/graphql`,
    // What the headers editor holds goes on top of these, over HTTP and over the websocket.
    headers: authorization,
    wsConnectionParams: authorization,
  });
  const page = React.createElement(GraphiQL, {
    fetcher,
    defaultHeaders: headers,
    // Tokens stay out of the browser's storage.
    shouldPersistHeaders: false,
    isHeadersEditorEnabled: true,
    defaultTabs: [
      { query: PLACE, variables: exampleOrder(), headers },
      { query: FOLLOW, headers },
      { query: ORDERS, headers },
    ],
    plugins: [GraphiQLPluginExplorer.explorerPlugin()],
  });
  ReactDOM.createRoot(container).render(page);
}

start();
