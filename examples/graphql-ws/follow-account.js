// Every change of every order of the account, once and in order, across runs: the cursor is kept in a file.
import { existsSync, readFileSync, writeFileSync } from "node:fs";

import { fail } from "../gateway.js";
import { openSocket } from "../socket.js";

const FOLLOW = `
  subscription Follow($after: String) {
    orderUpdates(after: $after) {
      kind
      cursor
      order { clientOrderId version status filledQuantity }
    }
  }
`;

const [file = "cursor.txt"] = process.argv.slice(2);
const after = existsSync(file) ? readFileSync(file, "utf8") : null;

openSocket().subscribe(
  { query: FOLLOW, variables: { after } },
  {
    next({ data, errors }) {
      if (errors) fail(errors[0]);
      const { kind, cursor, order } = data.orderUpdates;
      // RESET: what was missed is no longer kept. An application reads its orders again here, and goes on.
      console.log(kind, ...(order ? [order.clientOrderId, order.version, order.status, order.filledQuantity] : []));
      writeFileSync(file, cursor); // After the change was dealt with: a crash before this line shows it again, and loses nothing.
    },
    error: (reason) => fail([reason].flat()[0]),
    complete() {},
  },
);
