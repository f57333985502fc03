/**
 * Operations between nodes: steps of a write that spans partitions with different leaders. The node that
 * leads the record drives them (src/serving/leader_calls.ts); the node that is asked leads the other
 * partition, and checks that the driver holds the record's (src/serving/node_steps.ts). Each may be
 * repeated with the same effect, except that a removal is then audited again.
 */
import {
  claimDomainReplyCodec,
  claimDomainRequestCodec,
  confirmClaimRequestCodec,
  emptyCodec,
  noteRemovalRequestCodec,
  releaseDomainReplyCodec,
  removeAgentsReplyCodec,
  removeAgentsRequestCodec,
  revokeClaimReplyCodec,
  revokeClaimRequestCodec,
} from "../../../schemas/gen/wire.ts";
import { named, operation } from "./operation.ts";

/** Operations between nodes: steps of a write that spans partitions. */
export const STEP_OPERATIONS = named({
  claimDomain: operation({
    id: 40,
    kind: "write",
    repeatable: true,
    access: "peer",
    request: claimDomainRequestCodec,
    reply: claimDomainReplyCodec,
    cost: 1,
    codes: [],
  }),
  revokeClaim: operation({
    id: 41,
    kind: "write",
    repeatable: true,
    access: "peer",
    request: revokeClaimRequestCodec,
    reply: revokeClaimReplyCodec,
    cost: 1,
    codes: [],
  }),
  confirmClaim: operation({
    id: 42,
    kind: "write",
    repeatable: true,
    access: "peer",
    request: confirmClaimRequestCodec,
    reply: emptyCodec,
    cost: 1,
    codes: [],
  }),
  releaseDomain: operation({
    id: 43,
    kind: "write",
    repeatable: true,
    access: "peer",
    request: confirmClaimRequestCodec,
    reply: releaseDomainReplyCodec,
    cost: 1,
    codes: [],
  }),
  removeAgents: operation({
    id: 44,
    kind: "write",
    repeatable: true,
    access: "peer",
    request: removeAgentsRequestCodec,
    reply: removeAgentsReplyCodec,
    cost: 10,
    codes: [],
  }),
  noteRemoval: operation({
    id: 45,
    kind: "write",
    repeatable: true,
    access: "peer",
    request: noteRemovalRequestCodec,
    reply: emptyCodec,
    cost: 10,
    codes: [],
    group: "system",
  }),
});
