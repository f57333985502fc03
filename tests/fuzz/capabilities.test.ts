/**
 * Capabilities of arbitrary bytes and arbitrary caveats: the decoder gives a value or a named fault
 * and has one encoding for each value; a capability holds exactly where a second implementation says;
 * and no caveat that a holder adds ever permits what was not permitted before.
 */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  attenuate,
  CAPABILITY_PREFIX,
  mintCapability,
  readCapability,
} from "../../identity/capabilities/capability.ts";
import { type Caveat, decodeCaveats, encodeCaveat } from "../../identity/capabilities/caveat.ts";
import { RequestCaveats } from "../../identity/capabilities/guarded.ts";
import { rootKeyOf } from "../../identity/capabilities/root_key.ts";
import { capabilityRefused, verifyCapability } from "../../identity/capabilities/verify.ts";
import { encodeBase64url } from "../../src/base/base64url.ts";
import { concatBytes } from "../../src/base/bytes.ts";
import {
  CAPABILITY_SCOPES,
  type CapabilityRights,
  permitsId,
  permitsOperation,
} from "../../src/base/capability.ts";
import { RegistryError } from "../../src/base/errors.ts";
import { anyCharacter } from "../support/characters.ts";
import { holdsFor, isSignedBy, type MacaroonContext, parseMacaroon } from "../support/macaroon.ts";

const ROOT = rootKeyOf(new Uint8Array(32).fill(7));
const RULES = {
  keyOf: (keyId: string) => keyId === ROOT.keyId ? ROOT : undefined,
  isBanned: () => false,
};
const ID = new Uint8Array(16).fill(9);
const NOW_S = 1_800_000_000;
const RUNS = { numRuns: 1_500, seed: 15 };

// Few values, so that caveats and requests meet often.
const OPERATIONS = ["getAgent", "propose", "apply"];
const IDS = ["svc", "svc-storage", "svc-storage@eu", "node-1"];
const PATHS = ["/v1", "/v1/registry", "/v1/registry/proposals", "/v1/agents"];
const METHODS = ["GET", "POST"];
const NETWORKS = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "0.0.0.0/0", "::/0", "2001:db8::/32"];
const ADDRESSES = ["10.1.2.3", "10.2.0.1", "192.0.2.1", "2001:db8::7", "::1"];

const some = <T extends string>(values: readonly T[]) =>
  fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 3 });
const listed = (kind: string, values: readonly string[]) =>
  some(values).map((any) => ({ kind, any }) as Caveat);
const scopes = listed("scope", CAPABILITY_SCOPES);
const expiry = fc.integer({ min: -2, max: 2 })
  .map((seconds): Caveat => ({ kind: "expiry", atMs: 1_000 * (NOW_S + seconds) }));
const caveats = fc.array(
  fc.oneof(
    scopes,
    expiry,
    listed("operation", OPERATIONS),
    listed("idPrefix", IDS),
    listed("path", PATHS),
    listed("method", METHODS),
    listed("address", NETWORKS),
  ),
  { maxLength: 5 },
);
const contexts: fc.Arbitrary<MacaroonContext> = fc.record({
  scope: fc.constantFrom(...CAPABILITY_SCOPES),
  operation: fc.constantFrom(...OPERATIONS),
  id: fc.constantFrom(...IDS),
  unixS: fc.integer({ min: NOW_S - 2, max: NOW_S + 2 }),
  method: fc.constantFrom(...METHODS),
  path: fc.constantFrom(...PATHS),
  address: fc.constantFrom(...ADDRESSES),
});
const minted = fc.tuple(scopes, expiry, caveats)
  .map(([scope, end, others]) => mintCapability(ROOT, ID, [scope, end, ...others]));

/** Reports whether a capability permits a request: the part of the node, and that of the face. */
function permits(text: string, context: MacaroonContext): boolean {
  const verdict = verifyCapability(text, RULES, 1_000 * context.unixS);
  if (typeof verdict === "string") return false;
  const opened = verdict.open(context);
  return "value" in opened && permitsHere(opened.value, context);
}

function permitsHere(rights: CapabilityRights, { scope, operation, id }: MacaroonContext): boolean {
  return (rights.scopes as readonly string[]).includes(scope) &&
    permitsOperation(rights, operation) && permitsId(rights, id);
}

test("verifyCapability gives a fault for arbitrary text", () => {
  const texts = fc.oneof(
    fc.string({ unit: anyCharacter, maxLength: 5_000 }),
    fc.uint8Array({ maxLength: 3_100 }).map((bytes) => CAPABILITY_PREFIX + encodeBase64url(bytes)),
    fc.uint8Array({ maxLength: 200 }).map((bytes) => {
      const head = concatBytes([Uint8Array.of(1), ROOT.idBytes, ID]);
      return CAPABILITY_PREFIX + encodeBase64url(concatBytes([head, bytes, new Uint8Array(32)]));
    }),
  );
  fc.assert(
    fc.property(texts, (text) => {
      const verdict = verifyCapability(text, RULES, 1_000 * NOW_S);
      if (typeof verdict !== "string") throw new Error("It was accepted");
      assert.is(capabilityRefused(verdict).code, "unauthenticated");
    }),
    RUNS,
  );
});

test("decodeCaveats gives a fault, or caveats that encode to the same bytes", () => {
  const bytes = fc.array(
    fc.oneof(
      fc.uint8Array({ maxLength: 12 }),
      fc.tuple(fc.integer({ min: 1, max: 8 }), fc.uint8Array({ maxLength: 9 }))
        .map(([type, value]) => Uint8Array.of(type, 0, 1 + value.length, value.length, ...value)),
      fc.tuple(fc.constantFrom(4, 5, 6), fc.constantFrom("GET", "/v1", "a", "~"))
        .map(([type, text]) => {
          const value = new TextEncoder().encode(text);
          return Uint8Array.of(type, 0, 1 + value.length, value.length, ...value);
        }),
    ),
    { maxLength: 4 },
  ).map(concatBytes);
  let decoded = 0;
  fc.assert(
    fc.property(bytes, (input) => {
      const found = decodeCaveats(input);
      if (typeof found === "string") return;
      decoded++;
      assert.equal(concatBytes(found.map(({ caveat }) => encodeCaveat(caveat))), input);
      const aboutRequests = new RequestCaveats(found.map(({ caveat }) => caveat)).encode();
      assert.equal(RequestCaveats.decode(aboutRequests).encode(), aboutRequests);
    }),
    RUNS,
  );
  assert.ok(decoded > 50, `${decoded} inputs were caveats`);
});

test("verifyCapability takes no capability with any edit but the whole one", () => {
  const good = mintCapability(ROOT, ID, [
    { kind: "scope", any: ["registry:propose"] },
    { kind: "expiry", atMs: 1_000 * (NOW_S + 60) },
    { kind: "path", any: ["/v1/registry"] },
  ]);
  const edits = fc.record({
    at: fc.nat({ max: good.length }),
    removed: fc.nat({ max: 4 }),
    inserted: fc.oneof(fc.string({ maxLength: 4 }), fc.constantFrom("", "=", "A", "_", "\n", "é")),
  });
  fc.assert(
    fc.property(edits, ({ at, removed, inserted }) => {
      const edited = good.slice(0, at) + inserted + good.slice(at + removed);
      const verdict = verifyCapability(edited, RULES, 1_000 * NOW_S);
      assert.is(typeof verdict !== "string", edited === good);
    }),
    RUNS,
  );
});

test("a capability permits exactly what a second implementation says", () => {
  let permitted = 0;
  fc.assert(
    fc.property(minted, caveats, contexts, (text, added, context) => {
      const whole = attenuate(text, added);
      const macaroon = parseMacaroon(whole);
      assert.is(isSignedBy(ROOT.secret, macaroon), true);
      const expected = holdsFor(macaroon, context);
      if (expected) permitted++;
      assert.is(permits(whole, context), expected);
    }),
    RUNS,
  );
  assert.ok(permitted > 20, `${permitted} requests were permitted`);
});

test("attenuation never permits what was not permitted before", () => {
  let narrowed = 0;
  fc.assert(
    fc.property(minted, caveats, contexts, (text, added, context) => {
      const [before, after] = [permits(text, context), permits(attenuate(text, added), context)];
      if (before && !after) narrowed++;
      assert.is(after && !before, false);
    }),
    RUNS,
  );
  assert.ok(narrowed > 20, `${narrowed} requests were no longer permitted`);
});

test("attenuate refuses by code what does not fit", () => {
  const texts = fc.oneof(fc.string({ maxLength: 40 }), minted);
  const words = fc.array(fc.string({ unit: anyCharacter, maxLength: 300 }), { maxLength: 20 });
  const kinds = fc.constantFrom("scope", "operation", "idPrefix", "path", "method", "address");
  fc.assert(
    fc.property(texts, kinds, words, (text, kind, any) => {
      try {
        const made = attenuate(text, [{ kind, any } as Caveat]);
        assert.is(typeof readCapability(made), "object");
      } catch (error) {
        if (!(error instanceof RegistryError)) throw error;
        assert.ok(["invalid_argument", "too_large"].includes(error.code), error.code);
      }
    }),
    RUNS,
  );
});

test.run();
