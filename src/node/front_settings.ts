/** The settings of the front that a node runs beside itself: what it serves, to whom, and how. */
import {
  HTTP_WRITTEN_COUNT_DEFAULT,
  HTTP_WRITTEN_COUNT_MAX,
  MAPS_LEASE_MS_DEFAULT,
  RELAY_TTL_MS_DEFAULT,
  RELAY_TTL_MS_MAX,
  RELAY_TTL_MS_MIN,
  TTL_MS_MAX,
  TTL_MS_MIN,
} from "../base/limits.ts";
import type { Setting } from "./setting.ts";

/** The settings of the front, as parts of the node's. */
export const FRONT_SETTINGS = {
  http: {
    kind: "listen",
    default: "",
    bytesMax: 255,
    description:
      "address for HTTP: runs crs front beside the node, and starts it again when it ends; " +
      "empty: no HTTP",
  },
  httpNames: {
    kind: "hosts",
    default: "",
    bytesMax: 512,
    description: "names by which HTTP is reached, besides localhost and addresses",
  },
  readCache: {
    kind: "integer",
    default: HTTP_WRITTEN_COUNT_DEFAULT,
    min: 0,
    max: HTTP_WRITTEN_COUNT_MAX,
    description: "descriptors that HTTP keeps as they are answered, within 32 MiB",
  },
  insecureHttp: {
    kind: "flag",
    default: false,
    description:
      "whether plain HTTP may be served beyond loopback, where others can read and change it",
  },
  grpc: {
    kind: "listen",
    default: "",
    bytesMax: 255,
    description: "address for gRPC, which the same front serves; empty: no gRPC",
  },
  insecureGrpc: {
    kind: "flag",
    default: false,
    description:
      "whether plain gRPC may be served beyond loopback, where others can read and change it",
  },
  tlsCertPath: {
    kind: "path",
    default: "",
    bytesMax: 4_096,
    description:
      "PEM file of the certificate with which HTTP and gRPC are served over TLS; it is " +
      "never replaced by the node, so clients may pin it",
  },
  tlsKeyPath: {
    kind: "path",
    default: "",
    bytesMax: 4_096,
    description: "PEM file of the key of that certificate, mode 0600",
  },
  legacyClients: {
    kind: "flag",
    default: false,
    description:
      "whether callers of gRPC without an identity are served: whoever reaches the port acts as the " +
      "front, which owns what they register",
  },
  olderRelays: {
    kind: "flag",
    default: false,
    description:
      "whether heartbeats of agents may leave out their relay; they count whichever relay " +
      "holds the agent",
  },
  relayBackend: {
    kind: "url",
    default: "cluster",
    bytesMax: 512,
    description:
      "where relays and their agents are kept: cluster, which is this registry, memory:, " +
      "which is the front alone, or redis://, rediss://, etcd:// or consul:// and a host:port",
  },
  relayTtl: {
    kind: "milliseconds",
    default: RELAY_TTL_MS_DEFAULT,
    min: RELAY_TTL_MS_MIN,
    max: RELAY_TTL_MS_MAX,
    description: "time for which a relay lives without heartbeat",
  },
  agentTtl: {
    kind: "milliseconds",
    default: RELAY_TTL_MS_DEFAULT,
    min: RELAY_TTL_MS_MIN,
    max: RELAY_TTL_MS_MAX,
    description: "time for which an agent of a relay lives without heartbeat",
  },
  mapsLease: {
    kind: "milliseconds",
    default: MAPS_LEASE_MS_DEFAULT,
    min: TTL_MS_MIN,
    max: TTL_MS_MAX,
    description:
      "time for which a gateway or agent of the Maps protocol lasts after each registration",
  },
  grpcAdvertise: {
    kind: "listen",
    default: "",
    bytesMax: 255,
    description:
      "IP address and port at which clients reach gRPC, as GET /seeder tells; empty: where it listens",
  },
} as const satisfies Readonly<Record<string, Setting>>;
