/**
 * Trust anchors of a client: the CA of a server, or the pins of its certificates. The type matches
 * `Trust` in `transport/transport.ts`, which is on the same floor, so that one is assignable to the
 * other.
 */
import { RegistryError } from "../../src/base/errors.ts";
import { certificatesOf, parsePin } from "../pki/certificate.ts";
import { CA_FILE } from "../enrolment/development_identity.ts";
import { readFile } from "../files/private_file.ts";

/** Anchors by which a server's certificate is verified. */
export type ServerTrust =
  | { readonly kind: "pins"; readonly sha256: readonly Uint8Array[] }
  | { readonly kind: "ca"; readonly pem: readonly string[] };

/** Returns the identity folder within a node's data folder. */
export function identityFolder(dataFolder: string): string {
  return `${dataFolder}/identity`;
}

/**
 * Returns trust in the CA of the development node that owns `dataFolder`. It stays valid across
 * rotations.
 *
 * @throws RegistryError `not_found` if no node has started there yet, `corrupt`,
 * `storage_unavailable`.
 */
export function trustOfDataFolder(dataFolder: string): ServerTrust {
  return trustOfCaFile(`${identityFolder(dataFolder)}/${CA_FILE}`);
}

/** Reports whether a node with the development identity keeps its CA in `dataFolder`. */
export function hasCa(dataFolder: string): boolean {
  return readFile(`${identityFolder(dataFolder)}/${CA_FILE}`) !== undefined;
}

/**
 * Returns trust in the CAs of a PEM file.
 *
 * @throws RegistryError `not_found`, `corrupt` if it holds no certificate, `storage_unavailable`.
 */
export function trustOfCaFile(path: string): ServerTrust {
  const text = readFile(path);
  if (text === undefined) {
    throw new RegistryError(
      "not_found",
      `Cannot read ${path} as there is no such file: start the node first, or name its CA or pin`,
      { field: path },
    );
  }
  const pem = certificatesOf(text);
  if (pem.length === 0) {
    throw new RegistryError(
      "corrupt",
      `Cannot use ${path} as it holds no PEM certificate: copy it again from the node`,
      { field: path },
    );
  }
  return { kind: "ca", pem };
}

/**
 * Returns trust in exactly the certificates with these pins.
 *
 * @param pins as `parsePin` reads them; at least one.
 * @throws RegistryError `invalid_argument`.
 */
export function trustOfPins(pins: readonly string[]): ServerTrust {
  if (pins.length === 0) {
    throw new RegistryError("invalid_argument", "At least one pin is needed: found none", {
      field: "pin",
    });
  }
  return { kind: "pins", sha256: pins.map((pin) => parsePin(pin)) };
}
