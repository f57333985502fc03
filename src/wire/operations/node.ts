/** Operations on the node and the cluster: status, ring map, joining, placement. */
import {
  emptyCodec,
  joinClusterReplyCodec,
  joinClusterRequestCodec,
  reportPlacementRequestCodec,
  ringMapCodec,
  statusReplyCodec,
} from "../../../schemas/gen/wire.ts";
import { named, operation } from "./operation.ts";

/** Operations on the node and the cluster: status, ring map, joining, placement. */
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
  joinCluster: operation({
    id: 32,
    kind: "write",
    repeatable: true,
    access: "peer",
    request: joinClusterRequestCodec,
    reply: joinClusterReplyCodec,
    cost: 100,
    codes: ["invalid_configuration", "wrong_cluster", "locked"],
    system: true,
  }),
  reportPlacement: operation({
    id: 33,
    kind: "write",
    repeatable: true,
    access: "peer",
    request: reportPlacementRequestCodec,
    reply: emptyCodec,
    cost: 10,
    codes: ["incarnation_mismatch"],
    system: true,
  }),
});
