/** Operations of fronts: delegations, by which they act for their callers. */
import {
  closeDelegationRequestCodec,
  emptyCodec,
  openDelegationReplyCodec,
  openDelegationRequestCodec,
} from "../../../schemas/gen/wire.ts";
import { named, operation } from "./operation.ts";

/** Operations of fronts. A delegation belongs to the session on which it is opened. */
export const DELEGATION_OPERATIONS = named({
  openDelegation: operation({
    id: 100,
    kind: "write",
    // One that is opened twice is closed when it is idle.
    repeatable: true,
    access: "delegate",
    request: openDelegationRequestCodec,
    reply: openDelegationReplyCodec,
    cost: 100,
    codes: ["invalid_configuration"],
  }),
  closeDelegation: operation({
    id: 101,
    kind: "write",
    repeatable: true,
    access: "delegate",
    request: closeDelegationRequestCodec,
    reply: emptyCodec,
    cost: 1,
    codes: [],
  }),
});
