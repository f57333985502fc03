/** The URLs of relay backends. Messages never repeat a URL, which may hold a password. */
import { RegistryError } from "../base/errors.ts";

/** A Redis server. */
export interface RedisAddress {
  readonly kind: "redis";
  /** The address for messages, without credentials. */
  readonly name: string;
  /** Without the brackets of IPv6. */
  readonly host: string;
  readonly port: number;
  readonly db: number;
  readonly username?: string;
  readonly password?: string;
  readonly isTls: boolean;
}

/** A server that is reached by HTTP. */
export interface HttpAddress {
  readonly kind: "etcd" | "consul";
  /** The address for messages. */
  readonly name: string;
  /** `http://host:port` or `https://host:port` */
  readonly origin: string;
  /** The user of etcd. */
  readonly username?: string;
  /** Its password, or the token of Consul. */
  readonly password?: string;
}

/** Where the entries of a relay registry are kept. */
export type BackendAddress =
  | RedisAddress
  | HttpAddress
  | { readonly kind: "memory" }
  | { readonly kind: "cluster" };

const PORTS = {
  "redis:": 6379,
  "rediss:": 6379,
  "etcd:": 2379,
  "etcds:": 2379,
  "consul:": 8500,
  "consuls:": 8501,
};
const FORMS =
  "memory:, cluster, redis://user:password@host:port/db, etcd://user:password@host:port or " +
  "consul://:token@host:port, or with TLS rediss://…, etcds://… or consuls://…";

/** Parses a URL. Throws `invalid_configuration` for one of another form. */
export function parseRelayUrl(text: string): BackendAddress {
  if (text === "cluster") return { kind: "cluster" };
  if (text === "memory:" || text === "memory") return { kind: "memory" };
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !isKnown(url.protocol)) throw refused(`must be ${FORMS}: it is not`);
  if (url.hostname === "") throw refused(`must name a host after ${url.protocol}//: it does not`);
  if (url.search !== "" || url.hash !== "") {
    throw refused("must have neither ? nor # (%3F and %23 in a password): it has one");
  }
  const port = url.port === "" ? PORTS[url.protocol] : Number(url.port);
  const name = `${url.protocol}//${url.hostname}:${port}`;
  if (url.protocol === "redis:" || url.protocol === "rediss:") return redisAddress(url, name, port);
  return httpAddress(url, name, port);
}

function isKnown(protocol: string): protocol is keyof typeof PORTS {
  return Object.hasOwn(PORTS, protocol);
}

function redisAddress(url: URL, name: string, port: number): RedisAddress {
  const path = url.pathname.match(/^\/?(\d{0,5})$/);
  if (path === null) throw refused("must end with the number of a database: it does not");
  const db = Number(path[1]);
  return {
    kind: "redis",
    name: `${name}/${db}`,
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port,
    db,
    ...credentialsOf(url),
    isTls: url.protocol === "rediss:",
  };
}

function httpAddress(url: URL, name: string, port: number): HttpAddress {
  if (url.pathname !== "" && url.pathname !== "/") {
    throw refused(`must have no path with ${url.protocol}//: it has one`);
  }
  const kind = url.protocol.startsWith("etcd") ? "etcd" : "consul";
  const credentials = credentialsOf(url);
  const { username, password } = credentials;
  if (kind === "consul" && username !== undefined) {
    throw refused("must have its token after a colon, consul://:token@host: it has a user");
  }
  // A header carries it, and a header that is refused would be quoted.
  if (kind === "consul" && password !== undefined && !/^[\x21-\x7e]+$/.test(password)) {
    throw refused("must have a token of printable ASCII characters: it has others");
  }
  if (kind === "etcd" && username === undefined && password !== undefined) {
    throw refused("must have a user with its password: it has none");
  }
  const scheme = url.protocol.endsWith("s:") ? "https" : "http";
  return { kind, name, origin: `${scheme}://${url.hostname}:${port}`, ...credentials };
}

interface Credentials {
  readonly username?: string;
  readonly password?: string;
}

function credentialsOf(url: URL): Credentials {
  const username = decoded(url.username);
  const password = decoded(url.password);
  if (username !== undefined && password === undefined) {
    throw refused("must have a password with its user: it has none");
  }
  return {
    ...username === undefined ? {} : { username },
    ...password === undefined ? {} : { password },
  };
}

/** Decodes a part of a URL; an empty one is `undefined`. */
function decoded(part: string): string | undefined {
  if (part === "") return undefined;
  try {
    return decodeURIComponent(part);
  } catch {
    throw refused("must have its user and password percent-encoded in UTF-8: it has not");
  }
}

function refused(what: string): RegistryError {
  return new RegistryError("invalid_configuration", `The relay backend ${what}`, {
    field: "relay-backend",
  });
}
