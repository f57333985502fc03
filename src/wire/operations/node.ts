/** Operations on the node and the cluster: status and ring map. */
import { emptyCodec, ringMapCodec, statusReplyCodec } from "../../../schemas/gen/wire.ts";
import { named, operation } from "./operation.ts";

/** Operations on the node and the cluster: status and ring map. */
export const NODE_OPERATIONS = named({
  status: operation({
    id: 15,
    kind: "read",
    repeatable: true,
    access: "inspect",
    request: emptyCodec,
    reply: statusReplyCodec,
    cost: 10,
    codes: [],
  }),
  getRingMap: operation({
    id: 16,
    kind: "read",
    repeatable: true,
    access: "inspect",
    request: emptyCodec,
    reply: ringMapCodec,
    cost: 10,
    codes: [],
  }),
});
