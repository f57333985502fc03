/**
 * The table of settings: the single source for flags, environment variables, file keys, defaults,
 * bounds, the help of the command line and the README. `memoryBytesMax` is the key in the file,
 * `--memory-bytes-max` the flag and `CRS_MEMORY_BYTES_MAX` the variable; all derive from one key.
 */
import { LOG_LEVELS } from "../base/logger.ts";
import {
  EXPIRY_FLOOR_DEFAULT,
  EXPIRY_FLOOR_MAX,
  EXPIRY_SHARE_PERMILLE_DEFAULT,
  MEMBER_NAME_BYTES_MAX,
  MEMBER_RENEWAL_GRACE_MS_DEFAULT,
  PEER_IMAGE_BYTES_PER_SECOND,
  PEER_IMAGE_BYTES_PER_SECOND_MAX,
  PEER_IMAGE_BYTES_PER_SECOND_MIN,
  REGION_BYTES_MAX,
  RENEWAL_GRACE_MS_DEFAULT,
  RENEWAL_GRACE_MS_MAX,
  REQUEST_TIMEOUT_MS_DEFAULT,
  REQUEST_TIMEOUT_MS_MAX,
  SESSIONS_PER_ADDRESS_MAX,
  STALE_CONFIRM_MS_DEFAULT,
  STALE_CONFIRM_MS_MAX,
  STALE_CONFIRM_MS_MIN,
  TOKEN_NAME_BYTES_MAX,
  WAL_HARD_BYTES,
  WAL_SOFT_BYTES,
} from "../base/limits.ts";
import { FRONT_SETTINGS } from "./front_settings.ts";
import type { Setting } from "./setting.ts";

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

/** Every setting by its key, in the order in which help lists them. */
export const SETTINGS = {
  host: {
    kind: "address",
    default: "127.0.0.1",
    bytesMax: 255,
    description: "address for QUIC and WebTransport; with an authority, any that clients can reach",
  },
  port: {
    kind: "integer",
    default: 4443,
    min: 0,
    max: 65_535,
    description: "UDP port for QUIC and WebTransport; 0 lets the system choose",
  },
  webtransport: {
    kind: "choice",
    default: "on",
    choices: ["off", "on"],
    description: "whether clients may connect by WebTransport (ALPN h3) on the UDP port",
  },
  advertise: {
    kind: "hosts",
    default: "",
    bytesMax: 512,
    description:
      "hosts that clients connect to, separated by commas, if they differ from the address that " +
      "the node listens on, for example behind NAT; needs an authority",
  },
  advertisePort: {
    kind: "integer",
    default: 0,
    min: 0,
    max: 65_535,
    description: "UDP port that clients connect to, if it is forwarded to the one of --port, for " +
      "example by NAT or a container; 0: the same port",
  },
  tls: {
    kind: "choice",
    default: "off",
    choices: ["off", "on"],
    description: "whether clients with certificates may also connect by TLS over TCP, for " +
      "networks that block UDP; needs an authority",
  },
  tlsPort: {
    kind: "integer",
    default: 4443,
    min: 0,
    max: 65_535,
    description: "TCP port for TLS; 0 lets the system choose",
  },
  advertiseTlsPort: {
    kind: "integer",
    default: 0,
    min: 0,
    max: 65_535,
    description:
      "TCP port that clients connect to, if it differs from --tls-port; 0: the same port",
  },
  opsHost: {
    kind: "host",
    default: "127.0.0.1",
    bytesMax: 255,
    description:
      "address for /healthz, /readyz and /metrics; anyone who can reach it can read health and " +
      "metrics, nothing else",
  },
  opsPort: {
    kind: "integer",
    default: 9443,
    min: 0,
    max: 65_535,
    description: "TCP port for /healthz, /readyz and /metrics; 0 lets the system choose",
  },
  ...FRONT_SETTINGS,
  data: {
    kind: "path",
    default: "./data",
    bytesMax: 4_096,
    description: "folder for the log, images and the node's identity",
  },
  authority: {
    kind: "path",
    default: "",
    bytesMax: 4_096,
    description: "folder of the region's keys, created by crs identity init; without one, anyone " +
      "who reaches the node may do everything",
  },
  unpinnedSessions: {
    kind: "choice",
    default: "read-only",
    choices: ["read-only", "trusted"],
    description: "rights of clients that know the node's CA but no pin, so that another node " +
      "could be a man in the middle; trusted: the same as pinned clients",
  },
  anonymous: {
    kind: "choice",
    default: "governed",
    choices: ["none", "governed", "read"],
    description: "what clients without an identity may read, beside asking for a certificate: " +
      "nothing, the governed plane, or records too, without their credential hashes",
  },
  sessionTokenAudience: {
    kind: "audience",
    default: "",
    bytesMax: TOKEN_NAME_BYTES_MAX,
    description: "audience of the token that each session gets; empty: sessions get no token",
  },
  renewalGraceMs: {
    kind: "milliseconds",
    default: RENEWAL_GRACE_MS_DEFAULT,
    min: 0,
    max: RENEWAL_GRACE_MS_MAX,
    description: "time after its certificate expired in which an agent or gateway may renew it",
  },
  memberRenewalGraceMs: {
    kind: "milliseconds",
    default: MEMBER_RENEWAL_GRACE_MS_DEFAULT,
    min: 0,
    max: RENEWAL_GRACE_MS_MAX,
    description: "the same time for a node that is a member of the cluster",
  },
  expiryShare: {
    kind: "integer",
    default: EXPIRY_SHARE_PERMILLE_DEFAULT,
    min: 0,
    max: 1_000,
    description: "thousandths of a region's records that may expire per minute; if more are " +
      "silent at once, they stay, marked as stale, until their loss is confirmed",
  },
  expiryFloor: {
    kind: "integer",
    default: EXPIRY_FLOOR_DEFAULT,
    min: 1,
    max: EXPIRY_FLOOR_MAX,
    description: "number of a region's records that may expire per minute, however few it has",
  },
  expiryConfirmMs: {
    kind: "milliseconds",
    default: STALE_CONFIRM_MS_DEFAULT,
    min: STALE_CONFIRM_MS_MIN,
    max: STALE_CONFIRM_MS_MAX,
    description: "time after which the loss of a stale record is confirmed",
  },
  partitions: {
    kind: "integer",
    default: 1_024,
    min: 1,
    max: 8_192,
    powerOfTwo: true,
    description: "partitions of the key space; fixed when the data folder is created",
  },
  region: {
    kind: "name",
    default: "global",
    bytesMax: REGION_BYTES_MAX,
    description: "region that this node serves",
  },
  nodeId: {
    kind: "integer",
    default: 0,
    min: 0,
    max: 0xffff_ffff,
    description:
      "number of this node in its cluster; 0: 1 for the node that creates the cluster, " +
      "and the next free number for one that joins it",
  },
  found: {
    kind: "flag",
    default: false,
    description: "creates a cluster that other nodes may join, if the data folder is empty",
  },
  standby: {
    kind: "flag",
    default: false,
    description: "holds nothing after it joined, until crs cluster replace gives it a node's place",
  },
  join: {
    kind: "endpoint",
    default: "",
    bytesMax: 300,
    description: "a node of the cluster to join, if the data folder is empty",
  },
  token: {
    kind: "token",
    default: "",
    bytesMax: 64,
    description:
      "join token of a node that is to join a cluster with identities (crs identity join-token " +
      "node); it is used once, and other users of this machine can see it as a flag",
  },
  pin: {
    kind: "pin",
    default: "",
    bytesMax: 80,
    description: "pin of the certificate of the node to join, as it prints at its start",
  },
  zone: {
    kind: "name",
    default: "",
    bytesMax: MEMBER_NAME_BYTES_MAX,
    description:
      "failure domain of this node, such as a data center: the replicas of a partition " +
      "are spread over zones",
  },
  machine: {
    kind: "name",
    default: "",
    bytesMax: MEMBER_NAME_BYTES_MAX,
    description: "failure domain within a zone, for nodes that share a machine",
  },
  peerPort: {
    kind: "integer",
    default: 4444,
    min: 0,
    max: 65_535,
    description: "UDP port for the other nodes of a cluster; 0 lets the system choose",
  },
  advertisePeerPort: {
    kind: "integer",
    default: 0,
    min: 0,
    max: 65_535,
    description:
      "UDP port that the other nodes connect to, if it differs from --peer-port; 0: the " +
      "same port",
  },
  nodeCa: {
    kind: "path",
    default: "",
    bytesMax: 4_096,
    description:
      "folder of the CA by which the nodes of a development cluster recognize each other; " +
      "all of them name the same one (default: node-ca in the data folder)",
  },
  leaderLeases: {
    kind: "choice",
    default: "on",
    choices: ["off", "on"],
    description: "whether leases serve reads; off where this machine may be paused together with " +
      "its clocks: then each read that its partitions serve asks other nodes, and reads of a " +
      "stated age are refused",
  },
  logLevel: {
    kind: "choice",
    default: "info",
    choices: LOG_LEVELS,
    description: "lowest level that is logged",
  },
  logFormat: {
    kind: "choice",
    default: "auto",
    choices: ["auto", "json", "text"],
    description: "format of log lines; auto is text at a terminal, otherwise JSON",
  },
  memoryBytesMax: {
    kind: "bytes",
    default: 2 * GIB,
    min: 128 * MIB,
    max: 64 * GIB,
    description: "resident memory above which new registrations are refused",
  },
  recordsMax: {
    kind: "integer",
    default: 4_000_000,
    min: 1,
    max: 100_000_000,
    description: "number of records above which new registrations are refused",
  },
  sessionsMax: {
    kind: "integer",
    default: 20_000,
    min: 1,
    max: 1_000_000,
    description: "number of client sessions above which new ones are refused",
  },
  sessionsPerAddressMax: {
    kind: "integer",
    default: SESSIONS_PER_ADDRESS_MAX,
    min: 1,
    max: 1_000_000,
    description:
      "the same limit per address (IPv6: per /64), except loopback; raise it for clients that " +
      "share one address",
  },
  callerRequestsPerSecondMax: {
    kind: "integer",
    default: 500_000,
    min: 1,
    max: 100_000_000,
    description: "requests per second of one caller (items, if a request has several)",
  },
  callerBurstMax: {
    kind: "integer",
    default: 100_000,
    min: 1,
    max: 100_000_000,
    description: "requests that one caller may send in a burst above its rate",
  },
  logBytesSoft: {
    kind: "bytes",
    default: WAL_SOFT_BYTES,
    min: 64 * MIB,
    max: 1_024 * GIB,
    description: "size of the log on disk above which images replace it; a restart replays as much",
  },
  logBytesHard: {
    kind: "bytes",
    default: WAL_HARD_BYTES,
    min: 128 * MIB,
    max: 1_024 * GIB,
    description: "size of the log on disk above which writes are refused; near it they slow down",
  },
  imageBytesPerSecond: {
    kind: "bytes",
    default: PEER_IMAGE_BYTES_PER_SECOND,
    min: PEER_IMAGE_BYTES_PER_SECOND_MIN,
    max: PEER_IMAGE_BYTES_PER_SECOND_MAX,
    description: "rate at which this node sends copies of partitions to others, when replicas move",
  },
  requestTimeoutMs: {
    kind: "milliseconds",
    default: REQUEST_TIMEOUT_MS_DEFAULT,
    min: 1,
    max: REQUEST_TIMEOUT_MS_MAX,
    description: "timeout of a request that specifies none",
  },
  drainMs: {
    kind: "milliseconds",
    default: 5_000,
    min: 0,
    max: 600_000,
    description: "time that requests in progress get to finish when the node stops",
  },
} as const satisfies Record<string, Setting>;

/** The key of a setting. */
export type SettingKey = keyof typeof SETTINGS;

/** All keys, in the order of the table. */
export const SETTING_KEYS = Object.keys(SETTINGS) as readonly SettingKey[];

/** The flag that names the settings file, and the variable of the same meaning. */
export const CONFIG_FLAG = "config";
export const CONFIG_VARIABLE = "CRS_CONFIG";

/** `CRS_` variables that only the command line reads: server, trust, identity, tokens and capability. */
export const FOREIGN_VARIABLES: readonly string[] = [
  "CRS_SERVER",
  "CRS_CA",
  "CRS_IDENTITY",
  "CRS_USE_TOKEN",
  "CRS_VERIFY_TOKEN",
  "CRS_JOIN_TOKEN",
  "CRS_CAPABILITY",
  CONFIG_VARIABLE,
];

/** Returns the flag of a setting: `memoryBytesMax` → `--memory-bytes-max`. */
export function flagOf(key: SettingKey): string {
  return "--" + key.replace(/[A-Z]/g, (letter) => "-" + letter.toLowerCase());
}

/** Returns the variable of a setting: `memoryBytesMax` → `CRS_MEMORY_BYTES_MAX`. */
export function variableOf(key: SettingKey): string {
  return "CRS_" + key.replace(/[A-Z]/g, (letter) => "_" + letter).toUpperCase();
}
