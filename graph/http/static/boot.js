// Starts GraphiQL with the development token and five tabs: place an order, follow it, follow all, look back, cancel.
"use strict";

const PLACE = `# Answered at once. Then run the next tab.
# The same clientOrderId gives the same order back:
# for a new order change it below.
mutation PlaceOrder($input: PlaceOrderInput!) {
  placeOrder(input: $input) {
    __typename
    ... on PlaceOrderSuccess {
      replayed
      order {
        id
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

const LAST = "last";
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

const FOLLOW_ALL = `# Run it, then place a new order in a new window:
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
# An order that is final already is not cancelable.
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

const NEWEST_ORDER = "{ orders(first: 1) { nodes { id } } }";

function exampleOrder() {
  const input = {
    clientOrderId: `graphiql-${Date.now()}`,
    isin: "US0378331005",
    side: "BUY",
    type: "MARKET",
    quantity: "100",
  };
  return JSON.stringify({ input }, null, 2);
}

// Puts the newest order's id where the variables say "last".
function knowingTheLastOrder(fetcher) {
  return async (request, options) => {
    if (request.variables?.orderId !== LAST) {
      return fetcher(request, options);
    }
    const answer = await fetcher({ query: NEWEST_ORDER }, { headers: options?.headers });
    const order = answer.data?.orders.nodes[0];
    if (!order) {
      return answer.errors ? answer : { errors: [{ message: "There is no order yet: place one in the first tab." }] };
    }
    return fetcher({ ...request, variables: { ...request.variables, orderId: order.id } }, options);
  };
}

// GraphiQL shows the first tab's query from `defaultTabs`, but its variables only from where it keeps them itself.
function firstVariables() {
  const variables = exampleOrder();
  if (window.localStorage.getItem("graphiql:tabState") === null) {
    window.localStorage.setItem("graphiql:variables", variables);
  }
  return variables;
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
  // What is typed into the headers editor goes on top of this, over HTTP and over the websocket. It is not written
  // there, because the editor's content reaches the browser's storage.
  const authorization = token ? { Authorization: `Bearer ${token}` } : {};
  const { host, protocol } = window.location;
  // The page's own address: whatever a proxy puts before it.
  const path = window.location.pathname.replace(/\/+$/, "");
  const fetcher = GraphiQL.createFetcher({
    url: path,
    subscriptionUrl: `${protocol === "https:" ? "wss" : "ws"}://${host}${path}`,
    headers: authorization,
    wsConnectionParams: authorization,
    enableIncrementalDelivery: false,
  });
  const page = React.createElement(GraphiQL, {
    fetcher: knowingTheLastOrder(fetcher),
    shouldPersistHeaders: false,
    isHeadersEditorEnabled: true,
    defaultEditorToolsVisibility: "variables",
    defaultTabs: [
      { query: PLACE, variables: firstVariables() },
      { query: FOLLOW, variables: JSON.stringify({ orderId: LAST }, null, 2) },
      { query: FOLLOW_ALL },
      { query: ORDERS },
      { query: CANCEL, variables: JSON.stringify({ orderId: LAST }, null, 2) },
    ],
    plugins: [GraphiQLPluginExplorer.explorerPlugin()],
  });
  ReactDOM.createRoot(container).render(page);
}

start();
