// Starts GraphiQL with the development token, the tabs of tabs.js or the query of the address, and who is signed in.
"use strict";

const FIRST_ORDERS = {
  [LAST]: { query: "{ orders(first: 1) { nodes { id } } }", none: "There is no order yet: run PlaceOrder." },
  [OPEN]: {
    query: "{ orders(first: 1, filter: { isFinal: false }) { nodes { id } } }",
    none: "No order is open: run PlaceLimitOrder.",
  },
};
const VIEWER = "{ viewer { accounts { accountId } scopes tokenExpiresAt } }";

function freshId() {
  return `graphiql-${Date.now()}-${Math.random().toString(36).slice(2, 8)}`;
}

// Puts the words "new", "last" and "open" of the variables into effect.
function withWordsReplaced(fetcher) {
  return async (request, options) => {
    const { input, orderId } = request.variables ?? {};
    if (input?.clientOrderId === NEW) {
      const variables = { ...request.variables, input: { ...input, clientOrderId: freshId() } };
      return fetcher({ ...request, variables }, options);
    }
    const wanted = FIRST_ORDERS[orderId];
    if (!wanted) {
      return fetcher(request, options);
    }
    const answer = await fetcher({ query: wanted.query }, { headers: options?.headers });
    const order = answer.data?.orders.nodes[0];
    if (!order) {
      return answer.errors ? answer : { errors: [{ message: wanted.none }] };
    }
    return fetcher({ ...request, variables: { ...request.variables, orderId: order.id } }, options);
  };
}

const signedIn = {
  authorization: undefined,
  shown: { text: "…" },
  show: () => {},
};

// Asks who is signed in: at the start, and when the Authorization header of the headers editor has changed.
async function askWhoIsSignedIn(fetcher, headers) {
  const authorization = headers?.Authorization ?? null;
  if (authorization === signedIn.authorization) {
    return;
  }
  signedIn.authorization = authorization;
  const shown = account(await fetcher({ query: VIEWER }, { headers }).catch(() => ({})));
  if (authorization === signedIn.authorization) {
    signedIn.shown = shown;
    signedIn.show(shown);
  }
}

// A browser sends two headers whose names differ in case as one, with both values: no valid token.
function withOneAuthorization(headers) {
  const named = ([name, value]) => [name.toLowerCase() === "authorization" ? "Authorization" : name, value];
  return Object.fromEntries(Object.entries(headers ?? {}).map(named));
}

function withAccountShown(fetcher) {
  askWhoIsSignedIn(fetcher);
  return (request, options) => {
    const headers = withOneAuthorization(options?.headers);
    askWhoIsSignedIn(fetcher, headers);
    return fetcher(request, { ...options, headers });
  };
}

function account(answer) {
  const viewer = answer.data?.viewer;
  if (!viewer) {
    return { text: "not signed in", title: 'Write {"Authorization": "Bearer …"} into the headers editor.' };
  }
  const names = viewer.accounts.map(({ accountId }) => accountId);
  const kind = names.length === 1 ? "account" : "accounts";
  const until = viewer.tokenExpiresAt ? `\nuntil ${new Date(viewer.tokenExpiresAt).toLocaleString()}` : "";
  return { text: names.length > 0 ? `${kind} ${names.join(", ")}` : "no account", title: viewer.scopes.join(" ") + until };
}

function Account() {
  const [shown, show] = React.useState(signedIn.shown);
  React.useEffect(() => {
    signedIn.show = show;
    show(signedIn.shown);
  }, []);
  return React.createElement("span", { id: "account", title: shown.title }, shown.text);
}

// A link: ?query=…&variables=…&operationName=… is shown, and never run by itself.
function linked() {
  const given = new URLSearchParams(window.location.search);
  const query = given.get("query");
  if (!query) {
    return {};
  }
  const operationName = given.get("operationName") ?? undefined;
  return { query, variables: readable(given.get("variables")), operationName };
}

function readable(json) {
  try {
    return json ? JSON.stringify(JSON.parse(json), null, 2) : undefined;
  } catch {
    return json; // As it is: the editor marks what is wrong.
  }
}

// GraphiQL shows the first tab's query from `defaultTabs`, but its variables only from where it keeps them itself.
function firstTabs(link) {
  if (link.query) {
    return [{ query: link.query, variables: link.variables ?? "" }, ...TABS];
  }
  if (window.localStorage.getItem("graphiql:tabState") === null) {
    window.localStorage.setItem("graphiql:variables", TABS[0].variables);
  }
  return TABS;
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
  const link = linked();
  const properties = {
    ...link,
    fetcher: withWordsReplaced(withAccountShown(fetcher)),
    shouldPersistHeaders: false,
    isHeadersEditorEnabled: true,
    defaultEditorToolsVisibility: "variables",
    defaultTabs: firstTabs(link),
    plugins: [GraphiQLPluginExplorer.explorerPlugin()],
  };
  const logo = React.createElement(GraphiQL.Logo, null, "Fillwire · ", React.createElement(Account));
  ReactDOM.createRoot(container).render(React.createElement(GraphiQL, properties, logo));
}

start();
