/**
 * A second implementation of capabilities, after the definition of macaroons (Birgisson et al., NDSS
 * 2014, §II-B and fig. 8): a capability holds for a request if its signature is the chain of MACs
 * over its caveats, and each caveat, as a predicate, holds. Shares no code with the first one.
 */
import { Buffer } from "node:buffer";
import { createHmac } from "node:crypto";
import { BlockList, isIPv4 } from "node:net";

/** A request, as far as caveats may speak about it. */
export interface MacaroonContext {
  readonly scope: string;
  readonly operation: string;
  readonly id: string;
  readonly unixS: number;
  readonly method: string;
  readonly path: string;
  readonly address: string;
}

/** A decoded macaroon. */
export interface Macaroon {
  readonly keyId: string;
  readonly id: string;
  readonly identifier: Buffer;
  /** The caveats as they are signed, with their types and values. */
  readonly caveats: readonly {
    readonly type: number;
    readonly value: Buffer;
    readonly raw: Buffer;
  }[];
  readonly signature: Buffer;
}

/** Splits a capability into its parts; throws for one whose lengths do not fit. */
export function parseMacaroon(text: string): Macaroon {
  const data = Buffer.from(text.replace(/^crs-cap-/, ""), "base64url");
  const identifier = data.subarray(0, 25);
  const body = data.subarray(25, -32);
  const caveats = [];
  for (let rest = body; rest.length > 0;) {
    const length = rest.readUInt16BE(1);
    const raw = rest.subarray(0, 3 + length);
    if (raw.length < 3 + length) throw new Error("a caveat is cut");
    caveats.push({ type: raw[0]!, value: raw.subarray(3), raw });
    rest = rest.subarray(3 + length);
  }
  const hex = identifier.subarray(9).toString("hex");
  const id = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ];
  return {
    keyId: identifier.subarray(1, 9).toString("hex"),
    id: id.join("-"),
    identifier,
    caveats,
    signature: data.subarray(-32),
  };
}

const mac = (key: Uint8Array, data: Uint8Array) => createHmac("sha256", key).update(data).digest();

/** Reports whether the signature is that of the caveats under the root key. */
export function isSignedBy(
  secret: Uint8Array,
  { identifier, caveats, signature }: Macaroon,
): boolean {
  // sig := MAC(k, id); for each caveat: sig := MAC(sig, caveat).
  return caveats.reduce((sig, { raw }) => mac(sig, raw), mac(secret, identifier)).equals(signature);
}

/** Returns the alternatives of a caveat. */
export function alternatives(value: Buffer): Buffer[] {
  if (value.length === 0) return [];
  const end = 1 + value[0]!;
  return [value.subarray(1, end), ...alternatives(value.subarray(end))];
}

/** Reports whether every caveat holds for a request, and a scope and an expiry are among them. */
export function holdsFor({ caveats }: Macaroon, context: MacaroonContext): boolean {
  const types = new Set(caveats.map(({ type }) => type));
  return types.has(1) && types.has(2) &&
    caveats.every(({ type, value }) =>
      type === 2
        ? context.unixS < Number(value.readBigUInt64BE())
        : alternatives(value).some((one) => PREDICATES[type]!(one, context))
    );
}

const PREDICATES: Readonly<Record<number, (one: Buffer, context: MacaroonContext) => boolean>> = {
  1: (one, { scope }) => one.toString() === scope,
  3: (one, { operation }) => one.toString() === operation,
  4: (one, { id }) => id.slice(0, one.length) === one.toString(),
  5: (one, { path }) => `${path}/`.startsWith(`${one.toString()}/`),
  6: (one, { method }) => one.toString() === method,
  7: (one, { address }) => {
    const block = new BlockList();
    const bytes = one.subarray(1);
    const family = bytes.length === 4 ? "ipv4" : "ipv6";
    const text = family === "ipv4"
      ? bytes.join(".")
      : bytes.toString("hex").replace(/(.{4})(?=.)/g, "$1:");
    block.addSubnet(text, one[0]!, family);
    return isIPv4(address) === (family === "ipv4") && block.check(address, family);
  },
};
