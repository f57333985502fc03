/** The fields that agents and gateways share, in the order in which people see them. */
import { type FieldDescription, fields } from "./field.ts";
import * as types from "./field_types.ts";
import type { RecordInput } from "./plain.ts";

const TABLE = {
  id: {
    type: types.uuid,
    suffix: "id",
    flags: [{ flag: "--id <uuid>", help: "id (default: derived from the domain)" }],
  },
  domain: {
    type: types.domain,
    suffix: "domain",
    flags: [{ flag: "--domain <name>", help: "domain that resolves to it" }],
  },
  address: {
    type: types.address,
    suffix: "ip",
    flags: [{ flag: "--address <ip>", help: "IPv4 or IPv6 address" }],
  },
  port: {
    type: types.optionalPort,
    suffix: "port",
    flags: [{ flag: "--port <number>", help: "port" }],
  },
  region: {
    type: types.region,
    flags: [{
      flag: "--region <name>",
      help: "region (default: that of the file, else of the node)",
    }],
  },
  labels: {
    type: types.labels,
    isExtra: true,
    flags: [{ flag: "--label <key=value>", help: "label; repeatable" }],
  },
  credentialHash: {
    type: types.credentialHash,
    isExtra: true,
    aliases: [{ name: "verifiable_cred_hash" }],
    flags: [{ flag: "--credential-hash <hex>", help: "hash of its credential" }],
  },
  ttlMs: {
    type: types.ttl,
    aliases: [{ name: "ttl", fromJson: types.secondsToMs }],
    flags: [{
      flag: "--ttl <duration>",
      help: "lease, 5s to 24h, such as 30 (seconds) or 5m (default: 30s)",
    }],
  },
  state: {
    type: types.state,
    flags: [{
      flag: "--draining",
      help: "marks it as draining: it should receive nothing new",
    }],
  },
  scope: {
    type: types.scope,
    flags: [{
      flag: "--scope <scope>",
      help: "global, or region: it never leaves its region (default: global)",
    }],
  },
} satisfies Record<keyof RecordInput, FieldDescription>;

/** The shared fields. */
export const SHARED_FIELDS = fields(TABLE);
