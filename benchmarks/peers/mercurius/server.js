// The fastest of the Node world: Mercurius with its JIT, pg with a pool, one insert a request.
"use strict";

const Fastify = require("fastify");
const mercurius = require("mercurius");
const { Pool } = require("pg");

const POOL_CONNECTIONS = 10;
const schema = `
  enum OrderSide { BUY SELL }
  enum OrderType { MARKET LIMIT }
  input PlaceOrderInput {
    clientOrderId: String! isin: String! side: OrderSide! type: OrderType! quantity: String! limitPrice: String
  }
  type Order {
    id: ID! clientOrderId: String! status: String! version: Int! quantity: String! filledQuantity: String!
    createdAt: String!
  }
  type PlaceOrderSuccess { replayed: Boolean! order: Order! }
  type UserError { code: String! message: String! }
  union PlaceOrderResult = PlaceOrderSuccess | UserError
  type Query { ready: Boolean! }
  type Mutation { placeOrder(input: PlaceOrderInput!): PlaceOrderResult! }
`;
const table = `CREATE TABLE IF NOT EXISTS mercurius_orders (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), client_order_id text NOT NULL UNIQUE, isin text NOT NULL,
  side text NOT NULL, type text NOT NULL, quantity numeric NOT NULL, limit_price numeric, status text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now())`;
const insert = {
  name: "insert",
  text: `INSERT INTO mercurius_orders (client_order_id, isin, side, type, quantity, limit_price, status)
    VALUES ($1, $2, $3, $4, $5, $6, 'PENDING') RETURNING id, created_at`,
};

async function main() {
  const pool = new Pool({ connectionString: process.env.DATABASE_URL, max: POOL_CONNECTIONS });
  await pool.query(table);
  const resolvers = {
    Query: { ready: () => true },
    Mutation: {
      placeOrder: async (_, { input }) => {
        const values = [input.clientOrderId, input.isin, input.side, input.type, input.quantity, input.limitPrice];
        const { rows: [row] } = await pool.query({ ...insert, values });
        return {
          __typename: "PlaceOrderSuccess",
          replayed: false,
          order: {
            id: row.id, clientOrderId: input.clientOrderId, status: "PENDING", version: 1, quantity: input.quantity,
            filledQuantity: "0", createdAt: row.created_at.toISOString(),
          },
        };
      },
    },
    PlaceOrderResult: { resolveType: (value) => value.__typename },
  };
  const app = Fastify({ logger: false });
  app.register(mercurius, { schema, resolvers, jit: 1, graphiql: false });
  app.get("/healthz", async () => ({}));
  await app.listen({ host: "127.0.0.1", port: Number(process.env.PORT) });
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
