/**
 * Operations between the nodes of a cluster for the pullers of other regions: what a puller logs and reads
 * in partitions that another node leads, and the states of a node's pullers.
 */
import {
  emptyCodec,
  logMirrorsReplyCodec,
  logMirrorsRequestCodec,
  pullerStatesReplyCodec,
  readMirrorsReplyCodec,
  readMirrorsRequestCodec,
} from "../../../schemas/gen/wire.ts";
import { named, operation } from "./operation.ts";

/** Operations between nodes: mirrors of other regions. */
export const MIRROR_OPERATIONS = named({
  logMirrors: operation({
    id: 46,
    kind: "write",
    // Fences and batches are numbered.
    repeatable: true,
    access: "peer",
    request: logMirrorsRequestCodec,
    reply: logMirrorsReplyCodec,
    cost: 1,
    codes: ["superseded", "stale_sequence", "incarnation_mismatch"],
  }),
  readMirrors: operation({
    id: 47,
    kind: "read",
    repeatable: true,
    access: "peer",
    request: readMirrorsRequestCodec,
    reply: readMirrorsReplyCodec,
    cost: 1,
    codes: [],
  }),
  pullerStates: operation({
    id: 48,
    kind: "read",
    repeatable: true,
    access: "peer",
    request: emptyCodec,
    reply: pullerStatesReplyCodec,
    cost: 1,
    codes: [],
  }),
});
