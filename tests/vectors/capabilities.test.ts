/**
 * The frozen capabilities of docs/vectors: each is decoded, verified and made again, by our
 * implementation and by a second one (tests/support/macaroon.ts).
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  attenuate,
  mintCapability,
  readCapability,
} from "../../identity/capabilities/capability.ts";
import type { Caveat } from "../../identity/capabilities/caveat.ts";
import type { GuardedRequest } from "../../identity/capabilities/guarded.ts";
import { rootKeyOf } from "../../identity/capabilities/root_key.ts";
import { rightsOf, verifyCapability } from "../../identity/capabilities/verify.ts";
import { decodeBase64url } from "../../src/base/base64url.ts";
import { parseUuid } from "../../src/base/uuid.ts";
import { holdsFor, isSignedBy, parseMacaroon } from "../support/macaroon.ts";

type CaveatJson = Readonly<Record<string, readonly string[] | number>>;
interface Vectors {
  readonly verified_at_unix_s: number;
  readonly root_keys: readonly { readonly key_id: string; readonly secret: string }[];
  readonly minted: readonly {
    readonly name: string;
    readonly key_id: string;
    readonly id: string;
    readonly caveats: readonly CaveatJson[];
    readonly capability: string;
  }[];
  readonly attenuated: readonly {
    readonly name: string;
    readonly from: string;
    readonly caveats: readonly CaveatJson[];
    readonly capability: string;
  }[];
  readonly requests: readonly {
    readonly capability: string;
    readonly request: GuardedRequest;
    readonly fault: string | null;
  }[];
  readonly refused: readonly {
    readonly name: string;
    readonly capability: string;
    readonly fault: string;
  }[];
}

const FILE = new URL("../../docs/vectors/capabilities.json", import.meta.url);
const VECTORS: Vectors = JSON.parse(Deno.readTextFileSync(FILE));
const NOW_S = VECTORS.verified_at_unix_s;
const KEYS = new Map(VECTORS.root_keys.map(({ key_id, secret }) => {
  return [key_id, rootKeyOf(decodeBase64url(secret)!)];
}));
const RULES = { keyOf: (keyId: string) => KEYS.get(keyId), isBanned: () => false };

function caveatsOf(json: readonly CaveatJson[]): Caveat[] {
  return json.map((caveat) => {
    const [[kind, value]] = Object.entries(caveat) as [[string, readonly string[] | number]];
    return (typeof value === "number"
      ? { kind, atMs: value * 1_000 }
      : { kind, any: value }) as Caveat;
  });
}

test("the root keys have their ids", () => {
  assert.is(KEYS.size, 2);
  for (const [id, key] of KEYS) assert.is(key.keyId, id);
});

test("mintCapability writes the frozen capabilities, and readCapability reads them", () => {
  for (const { name, key_id, id, caveats, capability } of VECTORS.minted) {
    const own = caveatsOf(caveats);
    assert.is(mintCapability(KEYS.get(key_id)!, parseUuid(id), own), capability, name);
    const form = readCapability(capability);
    if (typeof form === "string") throw new Error(`${name}: ${form}`);
    assert.equal([form.keyId, form.capabilityId, form.caveats], [key_id, id, own], name);
  }
});

test("attenuate writes the frozen capabilities", () => {
  for (const { name, from, caveats, capability } of VECTORS.attenuated) {
    assert.is(attenuate(from, caveatsOf(caveats)), capability, name);
  }
});

test("every frozen capability is signed as the paper defines, and verified", () => {
  const kinds = new Set<number>();
  for (const { name, capability } of [...VECTORS.minted, ...VECTORS.attenuated]) {
    const macaroon = parseMacaroon(capability);
    for (const { type } of macaroon.caveats) kinds.add(type);
    assert.is(isSignedBy(KEYS.get(macaroon.keyId)!.secret, macaroon), true, name);
    const verdict = verifyCapability(capability, RULES, 1_000 * NOW_S);
    if (typeof verdict === "string") throw new Error(`${name}: ${verdict}`);
    const form = readCapability(capability);
    if (typeof form === "string") throw new Error(`${name}: ${form}`);
    assert.equal(verdict.handOver().value, rightsOf(macaroon.id, form.caveats), name);
  }
  assert.equal([...kinds].sort(), [1, 2, 3, 4, 5, 6, 7]);
});

test("requests are within or outside of the frozen capabilities", () => {
  for (const { capability, request, fault } of VECTORS.requests) {
    const verdict = verifyCapability(capability, RULES, 1_000 * NOW_S);
    if (typeof verdict === "string") throw new Error(verdict);
    const opened = verdict.open(request);
    assert.is("fault" in opened ? opened.fault : null, fault, JSON.stringify(request));
  }
});

test("the refused ones are refused for their fault", () => {
  for (const { name, capability, fault } of VECTORS.refused) {
    assert.is(verifyCapability(capability, RULES, 1_000 * NOW_S), fault, name);
  }
});

test("the second implementation refuses what fails by its signature, caveats or time", () => {
  const faults = ["bad_signature", "no_scope", "no_expiry", "expired"];
  for (const { name, capability, fault } of VECTORS.refused) {
    if (!faults.includes(fault)) continue;
    const macaroon = parseMacaroon(capability);
    const context = {
      ...{ scope: "registry:read", operation: "", id: "", unixS: NOW_S },
      ...{ method: "", path: "", address: "" },
    };
    const isSigned = isSignedBy(KEYS.get(macaroon.keyId)!.secret, macaroon);
    assert.is(isSigned, fault !== "bad_signature", name);
    assert.is(isSigned && holdsFor(macaroon, context), false, name);
  }
});

test.run();
