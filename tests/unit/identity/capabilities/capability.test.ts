import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  attenuate,
  CAPABILITY_PREFIX,
  isCapabilityText,
  mintCapability,
  readCapability,
} from "../../../../identity/capabilities/capability.ts";
import { type Caveat, encodeCaveat } from "../../../../identity/capabilities/caveat.ts";
import { Guarded, RequestCaveats } from "../../../../identity/capabilities/guarded.ts";
import {
  contains,
  formatNetwork,
  parseNetwork,
} from "../../../../identity/capabilities/network.ts";
import { isCaveatPath, isWithin } from "../../../../identity/capabilities/request_path.ts";
import {
  createRootKeyText,
  rootKeyOf,
  rootKeyOfText,
} from "../../../../identity/capabilities/root_key.ts";
import {
  capabilityRefused,
  type CapabilityRules,
  verifyCapability,
} from "../../../../identity/capabilities/verify.ts";
import { encodeBase64url } from "../../../../src/base/base64url.ts";
import { concatBytes } from "../../../../src/base/bytes.ts";
import { permitsId, permitsOperation } from "../../../../src/base/capability.ts";
import { RegistryError } from "../../../../src/base/errors.ts";
import { CAPABILITY_BYTES_MAX, CAPABILITY_CAVEATS_MAX } from "../../../../src/base/limits.ts";
import { SeededEntropy } from "../../../../src/base/prng.ts";

const ROOT = rootKeyOf(new Uint8Array(32).fill(1));
const ID = new Uint8Array(16).fill(2);
const UUID = "02020202-0202-0202-0202-020202020202";
const NOW_MS = 1_800_000_000_000;
const SCOPE: Caveat = { kind: "scope", any: ["registry:apply", "registry:propose"] };
const END: Caveat = { kind: "expiry", atMs: NOW_MS + 60_000 };
const RULES: CapabilityRules = {
  keyOf: (keyId) => keyId === ROOT.keyId ? ROOT : undefined,
  isBanned: () => false,
};
const made = (...more: Caveat[]) => mintCapability(ROOT, ID, [SCOPE, END, ...more]);

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof RegistryError) return `${error.code} ${error.fields.field}`;
    throw error;
  }
  return "none";
}

function rights(text: string) {
  const verdict = verifyCapability(text, RULES, NOW_MS);
  if (typeof verdict === "string") throw new Error(verdict);
  return verdict.handOver().value;
}

test("mintCapability needs a scope and an expiry", () => {
  assert.is(codeOf(() => mintCapability(ROOT, ID, [SCOPE])), "invalid_argument expiry");
  assert.is(codeOf(() => mintCapability(ROOT, ID, [END])), "invalid_argument scope");
  assert.ok(isCapabilityText(made()));
});

test("attenuate refuses what is no capability, and what no verifier would accept", () => {
  assert.is(codeOf(() => attenuate("crs-join-x", [])), "invalid_argument capability");
  const bad: Caveat[] = [
    { kind: "expiry", atMs: 1.5 },
    { kind: "expiry", atMs: -1_000 },
    { kind: "operation", any: [] },
    { kind: "operation", any: ["Get"] },
    { kind: "idPrefix", any: ["a b"] },
    { kind: "path", any: ["v1"] },
    { kind: "method", any: ["get"] },
    { kind: "method", any: ["GET", "GET"] },
    { kind: "address", any: ["10.0.0.1/8"] },
    { kind: "idPrefix", any: ["x".repeat(256)] },
  ];
  for (const caveat of bad) {
    assert.is(codeOf(() => attenuate(made(), [caveat])), `invalid_argument ${caveat.kind}`);
  }
});

test("a capability has at most CAPABILITY_CAVEATS_MAX caveats and CAPABILITY_BYTES_MAX bytes", () => {
  const get: Caveat = { kind: "method", any: ["GET"] };
  const full = made(...Array(CAPABILITY_CAVEATS_MAX - 2).fill(get));
  assert.is(rights(full).capabilityId, UUID);
  assert.is(codeOf(() => attenuate(full, [get])), "too_large caveats");
  const long: Caveat = { kind: "idPrefix", any: ["x".repeat(255)] };
  let text = made();
  while (text.length + 350 <= CAPABILITY_BYTES_MAX) text = attenuate(text, [long]);
  assert.is(rights(text).idPrefixes.length, 11);
  assert.is(codeOf(() => attenuate(text, [long])), "too_large caveats");
  assert.is(readCapability(text + "A".repeat(400)), "too_large");
});

test("verifyCapability narrows scopes and operations to those that all caveats permit", () => {
  const text = made(
    { kind: "operation", any: ["apply", "propose"] },
    { kind: "scope", any: ["records:read", "registry:propose"] },
    { kind: "operation", any: ["propose", "getAgent"] },
    { kind: "expiry", atMs: NOW_MS + 1_000 },
    { kind: "idPrefix", any: ["svc-", "node-"] },
    { kind: "idPrefix", any: ["svc-storage"] },
  );
  const found = rights(text);
  assert.equal(found, {
    capabilityId: UUID,
    scopes: ["registry:propose"],
    operations: ["propose"],
    idPrefixes: [["node-", "svc-"], ["svc-storage"]],
    expiresAtMs: NOW_MS + 1_000,
  });
  assert.is(permitsOperation(found, "propose"), true);
  assert.is(permitsOperation(found, "apply"), false);
  assert.is(permitsId(found, "svc-storage@eu"), true);
  assert.is(permitsId(found, "svc-index"), false);
  assert.is(permitsId(found, "node-svc-storage"), false);
});

test("verifyCapability refuses by key, signature, time and ban, in this order", () => {
  const text = made();
  const at = (rules: Partial<CapabilityRules>, nowMs = NOW_MS) => {
    const verdict = verifyCapability(text, { ...RULES, ...rules }, nowMs);
    return typeof verdict === "string" ? verdict : "accepted";
  };
  assert.is(at({}), "accepted");
  assert.is(at({}, NOW_MS + 59_999), "accepted");
  assert.is(at({}, NOW_MS + 60_000), "expired");
  assert.is(at({ isBanned: (id) => id === UUID }), "banned");
  assert.is(at({ keyOf: () => undefined, isBanned: () => true }), "unknown_key");
  const other = rootKeyOf(new Uint8Array(32).fill(3));
  assert.is(at({ keyOf: () => other, isBanned: () => true }, NOW_MS + 60_000), "bad_signature");
});

test("no caveat can be taken away, exchanged or replaced, whichever it is", () => {
  const more: Caveat[] = [
    { kind: "method", any: ["GET"] },
    { kind: "idPrefix", any: ["svc-"] },
    { kind: "path", any: ["/v1"] },
  ];
  const form = readCapability(made(...more));
  if (typeof form === "string") throw new Error(form);
  const verdictOf = (caveats: readonly Uint8Array[]) => {
    const bytes = concatBytes([form.head, ...caveats, form.signature]);
    return verifyCapability(CAPABILITY_PREFIX + encodeBase64url(bytes), RULES, NOW_MS);
  };
  const caveats = form.encoded.map(({ bytes }) => bytes);
  assert.type(verdictOf(caveats), "object");
  for (let at = 0; at < caveats.length; at++) {
    assert.is(verdictOf(caveats.filter((_, index) => index !== at)), "bad_signature");
    const doubled = caveats.flatMap((one, index) => index === at ? [one, one] : [one]);
    assert.is(verdictOf(doubled), "bad_signature");
    const next = (at + 1) % caveats.length;
    const exchanged = caveats.with(at, caveats[next]!).with(next, caveats[at]!);
    assert.is(verdictOf(exchanged), "bad_signature");
    assert.is(
      verdictOf(caveats.with(at, encodeCaveat({ kind: "method", any: ["PUT"] }))),
      "bad_signature",
    );
  }
});

test("capabilityRefused tells an invalid capability from a request outside of it", () => {
  assert.is(capabilityRefused("expired").code, "unauthenticated");
  assert.is(capabilityRefused("wrong_path").code, "permission_denied");
  assert.is(capabilityRefused("wrong_path").fields.field, "capability");
});

test("Guarded gives its value only to requests within the caveats, on both sides of the wire", () => {
  const verdict = verifyCapability(
    made(
      { kind: "path", any: ["/v1/registry"] },
      { kind: "method", any: ["GET"] },
      { kind: "address", any: ["127.0.0.0/8"] },
    ),
    RULES,
    NOW_MS,
  );
  if (typeof verdict === "string") throw new Error(verdict);
  const { unchecked } = verdict.handOver();
  const received = new Guarded("session", RequestCaveats.decode(unchecked));
  const request = { path: "/v1/registry/version", method: "GET", address: "127.0.0.1" };
  for (const guarded of [verdict, received]) {
    assert.ok("value" in guarded.open(request));
    assert.equal(guarded.open({ ...request, method: "POST" }), { fault: "wrong_method" });
    assert.equal(guarded.open({ ...request, path: "/v1" }), { fault: "wrong_path" });
    assert.equal(guarded.open({ ...request, address: "::1" }), { fault: "wrong_address" });
  }
});

test("RequestCaveats.decode refuses caveats that are not about the request", () => {
  const scope = Uint8Array.of(1, 0, 12, 11, ...new TextEncoder().encode("status:read"));
  assert.throws(() => RequestCaveats.decode(scope), (error: RegistryError) => {
    return error.code === "malformed";
  });
  assert.throws(() => RequestCaveats.decode(Uint8Array.of(6)), /must be valid/);
});

test("parseNetwork and formatNetwork have one spelling of a network", () => {
  for (
    const text of ["10.0.0.0/8", "0.0.0.0/0", "192.0.2.7/32", "2001:db8::/32", "::/0", "::1/128"]
  ) {
    assert.is(formatNetwork(parseNetwork(text)), text);
  }
  assert.is(formatNetwork(parseNetwork("192.0.2.7")), "192.0.2.7/32");
  assert.is(formatNetwork(parseNetwork("2001:DB8::1")), "2001:db8::1/128");
  const bad = ["", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/-1", "10.0.0.1/8"];
  for (const text of [...bad, "::1/129", "2001:db8::1/32", "::ffff:10.0.0.0/104", "fe80::1%eth0"]) {
    assert.throws(() => parseNetwork(text), (error: RegistryError) => {
      return error.code === "invalid_argument";
    }, text);
  }
});

test("contains compares the bits of the prefix, and families apart", () => {
  const within = (network: string, address: string) => contains(parseNetwork(network), address);
  assert.is(within("10.128.0.0/9", "10.200.1.1"), true);
  assert.is(within("10.128.0.0/9", "10.127.255.255"), false);
  assert.is(within("10.0.0.0/8", "::ffff:10.9.9.9"), true);
  assert.is(within("0.0.0.0/0", "::1"), false);
  assert.is(within("::/0", "10.0.0.1"), false);
  assert.is(within("2001:db8::/33", "2001:db8:7fff::1"), true);
  assert.is(within("2001:db8::/33", "2001:db8:8000::1"), false);
  for (const text of ["", "localhost", "10.0.0.1:80"]) assert.is(within("0.0.0.0/0", text), false);
});

test("isWithin compares decoded segments, and matches no path that has two readings", () => {
  const base = "/v1/registry";
  for (const path of ["/v1/registry", "/v1/registry/a%40b", "/v1/%72egistry/x", "/v1/registry/é"]) {
    assert.is(isWithin(path, base), !path.includes("é"), path);
  }
  const others = [
    "/v1",
    "/v1/registryx",
    "//v1/registry",
    "/v1/registry/",
    "/v1/registry/..",
    "v1",
  ];
  const odd = ["/v1/registry/%2e%2e/x", "/v1/registry/a%2fb", "/v1/registry/%", "/v1/registry/%00"];
  for (
    const path of [...others, ...odd, "/v1/registry/a\\b", "/v1/registry?x", "/v1/registry/%252e"]
  ) {
    assert.is(isWithin(path, base), false, path);
  }
  assert.is(isWithin("/v1/registry/x", "/v1/../v1"), false);
});

test("isCaveatPath takes plain paths only", () => {
  for (const path of ["/v1", "/v1/a@b:c", "/~x/y.z"]) assert.is(isCaveatPath(path), true, path);
  for (const path of ["", "/", "v1", "/v1/", "/a//b", "/a/..", "/%41", "/a?b", "/a b", "/é"]) {
    assert.is(isCaveatPath(path), false, path);
  }
});

test("rootKeyOfText reads what createRootKeyText writes, and nothing else", () => {
  const text = createRootKeyText(new SeededEntropy(1));
  const key = rootKeyOfText(text);
  assert.is(key?.secret.length, 32);
  assert.is(key?.keyId, rootKeyOf(key!.secret).keyId);
  assert.is(rootKeyOfText(text.replace("\n", "\r\n"))?.keyId, key?.keyId);
  for (const other of ["", text + "\n", text.slice(0, -3), ` ${text}`, CAPABILITY_PREFIX]) {
    assert.is(rootKeyOfText(other), undefined);
  }
  assert.throws(() => rootKeyOf(new Uint8Array(31)), /32 bytes/);
});

test.run();
