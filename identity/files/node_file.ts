/**
 * `<data>/node.json`: the addresses of a running node, for programs on the same machine that share
 * its data folder; the command line finds a development node by it. The node writes it when it
 * starts to listen and when a pin changes, and removes it when it stops. After a crash the file
 * remains, so readers must expect that nobody listens there.
 */
import { closeSync, fstatSync, openSync, writeSync } from "node:fs";
import { RegistryError } from "../../src/base/errors.ts";
import { NODE_ADDRESSES_MAX } from "../../src/base/limits.ts";
import { formatPin, parsePin } from "../pki/certificate.ts";
import { PUBLIC_FILE_MODE, readFile, removeFile, replaceFile } from "./private_file.ts";

/** The file's name in the data folder. */
export const NODE_FILE = "node.json";
/** Version of the file's format. */
const NODE_FILE_VERSION = 1;

/** One address of a node. */
export interface NodeAddress {
  /** `quic` or `webtransport`, or the name of a later transport. */
  readonly transport: string;
  /** A literal IP address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

/** Contents of the file. */
export interface NodeFile {
  /** The operating system's process id. */
  readonly processId: number;
  /** Unix ms. */
  readonly startedAtMs: number;
  /** UUID text. */
  readonly clusterId: string;
  readonly nodeId: number;
  readonly region: string;
  readonly addresses: readonly NodeAddress[];
  /** Address of `/healthz`, `/readyz` and `/metrics`. */
  readonly ops: { readonly host: string; readonly port: number };
  /** SHA-256 of the certificate served now and of the next one, 32 bytes each. */
  readonly currentPin: Uint8Array;
  readonly nextPin: Uint8Array;
}

/**
 * Writes the file atomically, or in place if the disk has no room. @throws RegistryError
 * `storage_unavailable`.
 */
export function writeNodeFile(dataFolder: string, node: NodeFile): void {
  const value = {
    version: NODE_FILE_VERSION,
    ...node,
    currentPin: formatPin(node.currentPin),
    nextPin: formatPin(node.nextPin),
  };
  const text = JSON.stringify(value, undefined, 2) + "\n";
  const path = `${dataFolder}/${NODE_FILE}`;
  try {
    replaceFile(path, text, PUBLIC_FILE_MODE);
  } catch (error) {
    // There is no room for another file: the file of the last run is overwritten in place.
    if (!overwrite(path, text)) throw error;
  }
}

/**
 * Overwrites an existing file with `text`, padded with spaces to the old length. Reports whether
 * that succeeded.
 */
function overwrite(path: string, text: string): boolean {
  try {
    const file = openSync(path, "r+");
    try {
      const bytes = new TextEncoder().encode(text.padEnd(fstatSync(file).size));
      return writeSync(file, bytes, 0, bytes.length, 0) === bytes.length;
    } finally {
      closeSync(file);
    }
  } catch {
    // The file does not exist or cannot be written either; the caller reports the first error.
    return false;
  }
}

/** Removes the file if it exists. @throws RegistryError `storage_unavailable`. */
export function removeNodeFile(dataFolder: string): void {
  removeFile(`${dataFolder}/${NODE_FILE}`);
}

/**
 * Reads the file; returns `undefined` if it does not exist.
 *
 * @throws RegistryError `corrupt` if it is not in the form that a node writes,
 * `storage_unavailable`.
 */
export function readNodeFile(dataFolder: string): NodeFile | undefined {
  const path = `${dataFolder}/${NODE_FILE}`;
  const text = readFile(path);
  return text === undefined ? undefined : parseNodeFile(text, path);
}

/**
 * Parses the text of a node file.
 *
 * @param path named in errors.
 * @throws RegistryError `corrupt`.
 */
export function parseNodeFile(text: string, path: string): NodeFile {
  const root = new Fields(parseJson(text, path), path);
  const version = root.integer("version", 0, Number.MAX_SAFE_INTEGER);
  if (version !== NODE_FILE_VERSION) root.refuse("version", `${NODE_FILE_VERSION}`);
  const ops = root.object("ops");
  return {
    processId: root.integer("processId", 0, Number.MAX_SAFE_INTEGER),
    startedAtMs: root.integer("startedAtMs", 0, Number.MAX_SAFE_INTEGER),
    clusterId: root.text("clusterId"),
    nodeId: root.integer("nodeId", 1, 0xffff_ffff),
    region: root.text("region"),
    addresses: root.objects("addresses", NODE_ADDRESSES_MAX).map((address) => ({
      transport: address.text("transport"),
      host: address.text("host"),
      port: address.integer("port", 1, 65_535),
    })),
    ops: { host: ops.text("host"), port: ops.integer("port", 1, 65_535) },
    currentPin: root.pin("currentPin"),
    nextPin: root.pin("nextPin"),
  };
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new RegistryError(
      "corrupt",
      `Cannot read ${path} as it is not JSON: remove it and start the node again`,
      { field: path },
      error,
    );
  }
}

/** Fields of a JSON object, each validated when it is read. */
class Fields {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #path: string;

  constructor(value: unknown, path: string) {
    this.#path = path;
    this.#values = {};
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      this.refuse("the value", "an object");
    }
    this.#values = value as Readonly<Record<string, unknown>>;
  }

  integer(name: string, min: number, max: number): number {
    const value = this.#values[name];
    if (typeof value !== "number" || !Number.isInteger(value) || value < min || value > max) {
      this.refuse(name, `an integer in [${min}, ${max}]`);
    }
    return value;
  }

  text(name: string): string {
    const value = this.#values[name];
    if (typeof value !== "string" || value === "") this.refuse(name, "text");
    return value;
  }

  object(name: string): Fields {
    return new Fields(this.#values[name], `${this.#path}, ${name}`);
  }

  objects(name: string, max: number): Fields[] {
    const value = this.#values[name];
    if (!Array.isArray(value) || value.length > max) this.refuse(name, `at most ${max} objects`);
    return value.map((item: unknown) => new Fields(item, `${this.#path}, ${name}`));
  }

  pin(name: string): Uint8Array {
    try {
      return parsePin(this.text(name), name);
    } catch (error) {
      if (error instanceof RegistryError && error.code === "corrupt") throw error;
      this.refuse(name, "sha256: and 64 hexadecimal digits");
    }
  }

  refuse(name: string, wanted: string): never {
    throw new RegistryError(
      "corrupt",
      `Cannot use ${this.#path} as ${name} must be ${wanted}: start the node again, which ` +
        "rewrites the file",
      { field: name },
    );
  }
}
