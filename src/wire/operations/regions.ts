/** Operations on peer regions, for controllers, and for clients that go to one. */
import {
  addRegionRequestCodec,
  emptyCodec,
  listRegionsReplyCodec,
  regionServersReplyCodec,
  regionServersRequestCodec,
  removeRegionRequestCodec,
  setRegionRequestCodec,
} from "../../../schemas/gen/wire.ts";
import { named, operation } from "./operation.ts";

/** Operations on peer regions. */
export const REGION_OPERATIONS = named({
  addRegion: operation({
    id: 71,
    kind: "write",
    repeatable: false,
    access: "administer",
    request: addRegionRequestCodec,
    reply: emptyCodec,
    cost: 100,
    codes: ["incarnation_mismatch"],
    system: true,
  }),
  setRegion: operation({
    id: 72,
    kind: "write",
    repeatable: true,
    access: "administer",
    request: setRegionRequestCodec,
    reply: emptyCodec,
    cost: 100,
    codes: ["incarnation_mismatch", "not_found"],
    system: true,
  }),
  removeRegion: operation({
    id: 73,
    kind: "write",
    repeatable: false,
    access: "administer",
    request: removeRegionRequestCodec,
    reply: emptyCodec,
    cost: 100,
    codes: ["not_found"],
    system: true,
  }),
  listRegions: operation({
    id: 74,
    kind: "read",
    repeatable: true,
    access: "inspect",
    request: emptyCodec,
    reply: listRegionsReplyCodec,
    cost: 10,
    codes: [],
    system: true,
  }),
  regionServers: operation({
    id: 78,
    kind: "read",
    repeatable: true,
    access: "inspect",
    request: regionServersRequestCodec,
    reply: regionServersReplyCodec,
    cost: 1,
    codes: ["not_found"],
  }),
});
