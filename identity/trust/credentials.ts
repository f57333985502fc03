/**
 * What a client needs to believe a server: the CA, or the pins of its certificates. The shape is
 * that of `Trust` in `transport/transport.ts`, on the same floor, so that one fits the other.
 */
import { RegistryError } from "../../src/base/errors.ts";
import { certificatesOf, parsePin } from "../pki/certificate.ts";
import { CA_FILE } from "../enrolment/development_identity.ts";
import { readFile } from "../files/private_file.ts";

/** By what a server's certificate is believed. */
export type ServerTrust =
  | { readonly kind: "pins"; readonly sha256: readonly Uint8Array[] }
  | { readonly kind: "ca"; readonly pem: readonly string[] };

/** The folder of a node's identity in its data folder. */
export function identityFolder(dataFolder: string): string {
  return `${dataFolder}/identity`;
}

/**
 * Trust in the development node that owns `dataFolder`: its CA. It holds across rotations.
 *
 * @throws RegistryError `not_found` where no node ever started there, `corrupt`,
 * `storage_unavailable`.
 */
export function trustOfDataFolder(dataFolder: string): ServerTrust {
  return trustOfCaFile(`${identityFolder(dataFolder)}/${CA_FILE}`);
}

/** True where a node with the development identity keeps its CA in `dataFolder`. */
export function hasCa(dataFolder: string): boolean {
  return readFile(`${identityFolder(dataFolder)}/${CA_FILE}`) !== undefined;
}

/**
 * Trust in the CAs of a PEM file.
 *
 * @throws RegistryError `not_found`, `corrupt` where it holds no certificate,
 * `storage_unavailable`.
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
 * Trust in exactly these certificates.
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
