/**
 * Operations on the records of the Maps protocol: gateways and agents of clients that may prove no
 * identity, the claims on gateways' endpoints, and the fronts that serve the protocol. They are kept apart
 * from the records of identities, so that a record that nobody vouched for never answers a lookup of those.
 */
import {
  idRequestCodec,
  listReplyCodec,
  listRequestCodec,
  recordReplyCodec,
  registerReplyCodec,
  registerRequestCodec,
  resolveGatewaysRequestCodec,
} from "../../../schemas/gen/wire.ts";
import type { ErrorCode } from "../../base/errors.ts";
import {
  KIND_MAPS_AGENT,
  KIND_MAPS_ENDPOINT,
  KIND_MAPS_GATEWAY,
  KIND_MAPS_SEEDER,
} from "../../record/key.ts";
import type { RecordKind } from "../../record/kinds.ts";
import { named, operation } from "./operation.ts";

const REGISTER_CODES: readonly ErrorCode[] = ["superseded", "stale_sequence", "foreign_region"];

/** Describes the registration of one kind. */
function register(id: number, kind: RecordKind) {
  return operation({
    id,
    kind: "write",
    repeatable: true,
    access: "write",
    request: registerRequestCodec,
    reply: registerReplyCodec,
    cost: 10,
    codes: REGISTER_CODES,
    records: { kinds: [kind], carried: true, recordOf: ({ record }) => record },
  });
}

/** Describes the read of one record of a kind. */
function get(id: number, kind: RecordKind) {
  return operation({
    id,
    kind: "read",
    repeatable: true,
    access: "discover",
    request: idRequestCodec,
    reply: recordReplyCodec,
    cost: 1,
    codes: ["not_found", "too_stale"],
    records: { kinds: [kind], keyOf: ({ id }) => ({ kind, id }) },
  });
}

/** Describes the list of a region's records of one kind. */
function list(id: number, kind: RecordKind) {
  return operation({
    id,
    kind: "read",
    repeatable: true,
    access: "discover",
    request: listRequestCodec,
    reply: listReplyCodec,
    cost: 200,
    codes: ["too_stale"],
    records: { kinds: [kind] },
  });
}

/** Operations on the records of the Maps protocol. */
export const MAPS_OPERATIONS = named({
  registerMapsGateway: register(120, KIND_MAPS_GATEWAY),
  registerMapsAgent: register(121, KIND_MAPS_AGENT),
  registerMapsEndpoint: register(122, KIND_MAPS_ENDPOINT),
  getMapsGateway: get(123, KIND_MAPS_GATEWAY),
  getMapsAgent: get(124, KIND_MAPS_AGENT),
  bestMapsGateways: operation({
    id: 125,
    kind: "read",
    repeatable: true,
    access: "discover",
    request: resolveGatewaysRequestCodec,
    reply: listReplyCodec,
    cost: 200,
    codes: ["too_stale"],
    records: { kinds: [KIND_MAPS_GATEWAY] },
  }),
  listMapsGateways: list(126, KIND_MAPS_GATEWAY),
  listMapsAgents: list(127, KIND_MAPS_AGENT),
  registerMapsSeeder: register(128, KIND_MAPS_SEEDER),
  listMapsSeeders: list(129, KIND_MAPS_SEEDER),
});
