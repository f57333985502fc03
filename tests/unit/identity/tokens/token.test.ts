/**
 * Tokens: those that our issuer writes are accepted, and every variant that jose alone would
 * accept, or that an attacker could try, is refused with its own fault. Every mutated token has a
 * valid signature over its content, unless the signature is the fault.
 */
import { decodeProtectedHeader, jwtVerify } from "jose";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { encodeBase64url } from "../../../../src/base/base64url.ts";
import { signingKeyOfSeed, signMessage, verifyingKey } from "../../../../identity/pki/ed25519.ts";
import {
  checkToken,
  readTokenForm,
  SessionTokens,
  type TokenFault,
  tokenRefused,
} from "../../../../identity/tokens/token_check.ts";
import {
  TOKEN_ALGORITHM,
  TOKEN_TYPE,
  type TokenClaims,
} from "../../../../identity/tokens/token.ts";
import { RegistryError } from "../../../../src/base/errors.ts";
import { TOKEN_LIFE_MS_MAX, TOKEN_SKEW_MS } from "../../../../src/base/limits.ts";
import {
  AUDIENCE,
  encodeText,
  goodHeader,
  goodPayload,
  ISSUER,
  LEAF_HASH,
  NOW_MS,
  SUBJECT,
  TOKEN_ID,
  tokenWorld,
} from "../../../support/tokens.ts";

const world = await tokenWorld();
const HEADER = JSON.stringify(goodHeader(world.keyId));
const PAYLOAD = JSON.stringify(goodPayload());

/**
 * Returns our verdict; jose, with the same restrictions, must accept every token that we accept.
 */
async function check(token: string, nowMs = NOW_MS): Promise<TokenClaims | TokenFault> {
  const verdict = checkToken(token, world.bearer, world.rules, nowMs);
  if (typeof verdict === "string") return verdict;
  const { handle } = await verifyingKey(world.rules.keys.get(verdict.keyId)!);
  await jwtVerify(token, handle, {
    algorithms: [TOKEN_ALGORITHM],
    typ: TOKEN_TYPE,
    issuer: ISSUER,
    audience: AUDIENCE,
    subject: SUBJECT,
    currentDate: new Date(nowMs),
    clockTolerance: TOKEN_SKEW_MS / 1_000,
    maxTokenAge: TOKEN_LIFE_MS_MAX / 1_000,
  });
  return verdict;
}

/** Reports whether jose accepts it with the commonly used options. */
async function joseAccepts(token: string): Promise<boolean> {
  try {
    await jwtVerify(token, world.key.verifying.handle, {
      algorithms: ["EdDSA"],
      audience: AUDIENCE,
      currentDate: new Date(NOW_MS),
    });
    return true;
  } catch {
    return false;
  }
}

/** Returns a token with other members in its payload; `undefined` omits one. */
function withClaims(changes: Record<string, unknown>): Promise<string> {
  const payload = Object.entries({ ...goodPayload(), ...changes })
    .filter(([, value]) => value !== undefined)
    .sort(([left], [right]) => left < right ? -1 : 1);
  return world.sign(HEADER, JSON.stringify(Object.fromEntries(payload)));
}

function withHeader(changes: Record<string, unknown>): Promise<string> {
  const header = Object.entries({ ...goodHeader(world.keyId), ...changes })
    .filter(([, value]) => value !== undefined)
    .sort(([left], [right]) => left < right ? -1 : 1);
  return world.sign(JSON.stringify(Object.fromEntries(header)), PAYLOAD);
}

test("checkToken takes what mintToken writes, with each claim", async () => {
  const token = await world.mint();
  assert.equal(await check(token), {
    issuer: ISSUER,
    audience: AUDIENCE,
    subject: SUBJECT,
    tokenId: TOKEN_ID,
    issuedAtMs: NOW_MS,
    expiresAtMs: NOW_MS + 600_000,
    leafHash: LEAF_HASH,
    grants: { credentialHashes: false, domains: ["bank.example"], gateways: [] },
    keyId: world.keyId,
  });
  assert.is(token, await world.sign(HEADER, PAYLOAD));
  assert.equal(decodeProtectedHeader(token), goodHeader(world.keyId));
  assert.ok(await joseAccepts(token));
});

// Each case: its name, its creation, the fault with which it is refused, and whether jose alone
// would accept it.
const FAULTS: readonly [string, () => Promise<string>, TokenFault, "jose takes it" | ""][] = [
  // The list of tokens that jose 6 accepts by itself.
  [
    "a claim twice",
    () => world.sign(HEADER, PAYLOAD.replace('"sub":', `"sub":"x","sub":`)),
    "not_canonical",
    "jose takes it",
  ],
  [
    "a header name twice",
    () => world.sign(HEADER.replace('"kid":', '"kid":"x","kid":'), PAYLOAD),
    "not_canonical",
    "jose takes it",
  ],
  [
    "exp: 1e400",
    () => world.sign(HEADER, PAYLOAD.replace(/"exp":\d+/, '"exp":1e400')),
    "not_canonical",
    "jose takes it",
  ],
  [
    "a fractional exp",
    () => withClaims({ exp: NOW_MS / 1_000 + 600.5 }),
    "wrong_claims",
    "jose takes it",
  ],
  ["a far-off exp", () => withClaims({ exp: 9_999_999_999 }), "life_too_long", "jose takes it"],
  [
    "an exp beyond the range of dates",
    () => withClaims({ exp: 2 ** 53 - 1 }),
    "wrong_claims",
    "jose takes it",
  ],
  ["b64: false without crit", () => withHeader({ b64: false }), "wrong_header", "jose takes it"],
  [
    "an embedded jwk",
    () => withHeader({ jwk: { crv: "Ed25519", kty: "OKP", x: "x" } }),
    "wrong_header",
    "jose takes it",
  ],
  ["a jku", () => withHeader({ jku: "https://x.example" }), "wrong_header", "jose takes it"],
  ["an x5u", () => withHeader({ x5u: "https://x.example" }), "wrong_header", "jose takes it"],
  ["== padding", async () => await world.mint() + "==", "not_base64url", "jose takes it"],
  ["a newline in the signature", inSignature("\n"), "not_base64url", "jose takes it"],
  ["trailing bits of base64", looseBits, "not_base64url", "jose takes it"],
  ["a kid of 1 MB", () => withHeader({ kid: "k".repeat(1 << 20) }), "too_large", "jose takes it"],
  [
    "several audiences",
    () => withClaims({ aud: [AUDIENCE, "another"] }),
    "wrong_claims",
    "jose takes it",
  ],
  [
    "one audience in a list",
    () => withClaims({ aud: [AUDIENCE] }),
    "wrong_claims",
    "jose takes it",
  ],
  ["no exp", () => withClaims({ exp: undefined }), "wrong_claims", "jose takes it"],
  // Form.
  ["no text", () => Promise.resolve(""), "not_three_parts", ""],
  ["two parts", async () => (await world.mint()).replace(/\.[^.]*$/, ""), "not_three_parts", ""],
  ["four parts", async () => await world.mint() + ".", "not_three_parts", ""],
  ["+ and / in place of - and _", ordinaryBase64, "not_base64url", ""],
  ["a space before it", async () => " " + await world.mint(), "not_base64url", ""],
  ["a header that is no JSON", () => world.sign("alg", PAYLOAD), "not_json", ""],
  ["a payload that is no UTF-8", brokenUtf8, "not_json", ""],
  [
    "a mark of byte order",
    () => world.sign(HEADER, "\ufeff" + PAYLOAD),
    "not_json",
    "jose takes it",
  ],
  ["white space", () => world.sign(HEADER, PAYLOAD + " "), "not_canonical", "jose takes it"],
  [
    "other escapes",
    () => world.sign(HEADER, PAYLOAD.replace("bank", "\\u0062ank")),
    "not_canonical",
    "jose takes it",
  ],
  ["names out of order", unordered, "not_canonical", "jose takes it"],
  ["a payload that is a list", () => world.sign(HEADER, "[]"), "wrong_claims", ""],
  ["a payload that is null", () => world.sign(HEADER, "null"), "wrong_claims", ""],
  [
    "a lone surrogate",
    () => world.sign(HEADER, PAYLOAD.replace("bank", "\\ud800")),
    "not_canonical",
    "jose takes it",
  ],
  // Header.
  ["alg none", () => withHeader({ alg: "none" }), "wrong_header", ""],
  ["alg HS256", () => withHeader({ alg: "HS256" }), "wrong_header", ""],
  ["alg Ed25519", () => withHeader({ alg: "Ed25519" }), "wrong_header", ""],
  ["no kid", () => withHeader({ kid: undefined }), "wrong_header", "jose takes it"],
  ["a kid that is a number", () => withHeader({ kid: 1 }), "wrong_header", "jose takes it"],
  ["no typ", () => withHeader({ typ: undefined }), "wrong_header", "jose takes it"],
  ["another typ", () => withHeader({ typ: "JWT" }), "wrong_header", "jose takes it"],
  ["crit", () => withHeader({ crit: ["x"], x: 1 }), "wrong_header", ""],
  ["__proto__ in the header", protoHeader, "wrong_header", "jose takes it"],
  ["a kid of another key", unknownKid, "unknown_key", "jose takes it"],
  // Claims.
  ["a further claim", () => withClaims({ scope: "all" }), "wrong_claims", "jose takes it"],
  ["nbf", () => withClaims({ nbf: NOW_MS / 1_000 }), "wrong_claims", "jose takes it"],
  ["no cnf", () => withClaims({ cnf: undefined }), "wrong_claims", "jose takes it"],
  ["cnf of another kind", () => withClaims({ cnf: { jkt: "x" } }), "wrong_claims", "jose takes it"],
  [
    "a short cnf",
    () => withClaims({ cnf: { "x5t#S256": encodeBase64url(LEAF_HASH.subarray(1)) } }),
    "wrong_claims",
    "jose takes it",
  ],
  ["no grants", () => withClaims({ grants: undefined }), "wrong_claims", "jose takes it"],
  [
    "a grant of everything",
    () => withClaims({ grants: { credentialHashes: false, domains: ["*"], gateways: [] } }),
    "wrong_claims",
    "jose takes it",
  ],
  [
    "a grant in capitals",
    () =>
      withClaims({ grants: { credentialHashes: false, domains: ["Bank.example"], gateways: [] } }),
    "wrong_claims",
    "jose takes it",
  ],
  ["a jti that is no UUID", () => withClaims({ jti: "1" }), "wrong_claims", "jose takes it"],
  [
    "a subject that is no SPIFFE id",
    () => withClaims({ sub: "me" }),
    "wrong_claims",
    "jose takes it",
  ],
  [
    "the development role",
    () => withClaims({ sub: SUBJECT.replace("agent", "development") }),
    "wrong_claims",
    "jose takes it",
  ],
  ["times in text", () => withClaims({ iat: "1" }), "wrong_claims", ""],
  ["a negative iat", () => withClaims({ iat: -1 }), "wrong_claims", "jose takes it"],
  [
    "exp before iat",
    () => withClaims({ exp: NOW_MS / 1_000 + 1, iat: NOW_MS / 1_000 + 2 }),
    "wrong_claims",
    "jose takes it",
  ],
  [
    "a life of 15 minutes and a second",
    () => withClaims({ exp: NOW_MS / 1_000 + 901 }),
    "life_too_long",
    "jose takes it",
  ],
  ["another issuer", () => withClaims({ iss: "spiffe://other" }), "wrong_issuer", "jose takes it"],
  ["another audience", () => withClaims({ aud: AUDIENCE + "2" }), "wrong_audience", ""],
  [
    "another subject",
    () => withClaims({ sub: SUBJECT.replace("6f1c", "7f1c") }),
    "wrong_subject",
    "jose takes it",
  ],
  [
    "another certificate",
    () => withClaims({ cnf: { "x5t#S256": encodeBase64url(new Uint8Array(32)) } }),
    "wrong_certificate",
    "jose takes it",
  ],
  [
    "a start in the future",
    () => withClaims({ iat: NOW_MS / 1_000 + 31 }),
    "not_yet_valid",
    "jose takes it",
  ],
  ["its end", () => withClaims({ iat: NOW_MS / 1_000 - 60, exp: NOW_MS / 1_000 }), "expired", ""],
  // Signature.
  ["no signature", async () => (await world.mint()).replace(/[^.]*$/, ""), "signature_form", ""],
  ["a changed payload", changedPayload, "bad_signature", ""],
  ["a signature by another key", foreignSignature, "bad_signature", ""],
  ["S + L in place of S", malleable, "signature_form", ""],
  ["R of small order", smallOrder, "signature_form", ""],
];

for (const [name, make, fault, byJose] of FAULTS) {
  test(`checkToken refuses ${name} as ${fault}`, async () => {
    const token = await make();
    assert.is(await check(token), fault);
    // If this fails, jose has changed: the strict check may have become less necessary, or more.
    assert.is(await joseAccepts(token), byJose === "jose takes it", "jose by itself");
  });
}

function inSignature(inserted: string): () => Promise<string> {
  return async () => {
    const token = await world.mint();
    return token.slice(0, -4) + inserted + token.slice(-4);
  };
}

/** 64 bytes leave 4 bits of the last character unused, which lenient decoders ignore. */
async function looseBits(): Promise<string> {
  const token = await world.mint();
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  return token.slice(0, -1) + alphabet[alphabet.indexOf(token.at(-1)!) | 1];
}

async function ordinaryBase64(): Promise<string> {
  for (let life = 1; life < 200; life++) {
    const token = await world.mint({ lifeMs: life * 1_000 });
    if (/[-_]/.test(token)) return token.replaceAll("-", "+").replaceAll("_", "/");
  }
  throw new Error("No token held a character of base64url alone");
}

async function signParts(header: string, payload: Uint8Array): Promise<string> {
  const signed = `${encodeText(header)}.${encodeBase64url(payload)}`;
  const signature = await signMessage(world.key, new TextEncoder().encode(signed));
  return `${signed}.${encodeBase64url(signature)}`;
}

function brokenUtf8(): Promise<string> {
  const bytes = new TextEncoder().encode(PAYLOAD);
  bytes[bytes.indexOf(0x62)] = 0xff;
  return signParts(HEADER, bytes);
}

function unordered(): Promise<string> {
  const { aud, ...others } = goodPayload();
  return world.sign(HEADER, JSON.stringify({ ...others, aud }));
}

function protoHeader(): Promise<string> {
  return world.sign(HEADER.replace("{", '{"__proto__":{"x":1},'), PAYLOAD);
}

function unknownKid(): Promise<string> {
  return withHeader({ kid: encodeBase64url(new Uint8Array(32)) });
}

async function changedPayload(): Promise<string> {
  const [header, , signature] = (await world.mint()).split(".");
  return `${header}.${encodeText(PAYLOAD.replace("bank.example", "cash.example"))}.${signature}`;
}

async function foreignSignature(): Promise<string> {
  const [header, payload] = (await world.mint()).split(".");
  const other = await signingKeyOfSeed(new Uint8Array(32).fill(6));
  const signature = await signMessage(other, new TextEncoder().encode(`${header}.${payload}`));
  return `${header}.${payload}.${encodeBase64url(signature)}`;
}

async function withSignature(change: (signature: Uint8Array) => void): Promise<string> {
  const [header, payload] = (await world.mint()).split(".");
  const bytes = new TextEncoder().encode(`${header}.${payload}`);
  const signature = await signMessage(world.key, bytes);
  change(signature);
  return `${header}.${payload}.${encodeBase64url(signature)}`;
}

function malleable(): Promise<string> {
  const order = 0x1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3edn;
  return withSignature((signature) => {
    let s = 0n;
    for (let index = 63; index >= 32; index--) s = s << 8n | BigInt(signature[index]!);
    s += order;
    for (let index = 32; index < 64; index++, s >>= 8n) signature[index] = Number(s & 0xffn);
  });
}

function smallOrder(): Promise<string> {
  return withSignature((signature) => {
    signature.fill(0, 0, 32);
  });
}

test("checkToken keeps to the passed time, to the millisecond", async () => {
  const token = await world.mint();
  assert.is(await check(token, NOW_MS + 600_000), "expired");
  assert.type(await check(token, NOW_MS + 599_999), "object");
  // An issuer's clock may be ahead by the skew, and not by more.
  assert.type(await check(token, NOW_MS - 30_000), "object");
  assert.is(await check(token, NOW_MS - 30_001), "not_yet_valid");
});

test("checkToken takes a life of 15 minutes", async () => {
  assert.type(await check(await world.mint({ lifeMs: 900_000 })), "object");
});

test("checkToken takes 4 KiB and refuses a byte more", () => {
  const padded = (length: number) => "a".repeat(length);
  assert.is(readTokenForm(padded(4_096)), "not_three_parts");
  assert.is(readTokenForm(padded(4_097)), "too_large");
});

test("checkToken refuses a banned subject and a banned token, whoever signed it", async () => {
  const token = await world.mint();
  for (const [kind, name] of [["subject", SUBJECT], ["token", TOKEN_ID]] as const) {
    world.bans.ban({ kind, name, reason: "stolen" });
    assert.is(await check(token), "banned");
    world.bans.unban(kind, name);
  }
  assert.type(await check(token), "object");
});

test("mintToken refuses by code what no check would take", async () => {
  const bad: [Parameters<typeof world.mint>[0], string, string][] = [
    [{ subject: "me" }, "invalid_argument", "subject"],
    [{ issuer: "" }, "invalid_argument", "issuer"],
    [{ audience: "a".repeat(401) }, "invalid_argument", "audience"],
    [{ tokenId: TOKEN_ID.toUpperCase() }, "invalid_argument", "tokenId"],
    [{ lifeMs: 900_001 }, "invalid_argument", "lifeMs"],
    [{ lifeMs: NaN }, "invalid_argument", "lifeMs"],
    [{ lifeMs: 999 }, "invalid_argument", "lifeMs"],
    [{ leafHash: new Uint8Array(20) }, "invalid_argument", "leafHash"],
    [{ grants: { domains: ["*"], gateways: [] } }, "invalid_argument", "grants"],
    [{ grants: { domains: longDomains(), gateways: [] } }, "too_large", "grants"],
  ];
  for (const [changes, code, field] of bad) {
    try {
      await world.mint(changes);
      assert.unreachable(field);
    } catch (error) {
      assert.instance(error, RegistryError, field);
      assert.is((error as RegistryError).code, code);
      assert.is((error as RegistryError).fields.field, field);
    }
  }
});

function longDomains(): string[] {
  const label = "a".repeat(60);
  return Array.from({ length: 32 }, (_, n) => `n${n}.${label}.${label}.${label}.example`);
}

test("tokenRefused names the fault and nothing of the token", () => {
  const error = tokenRefused("expired");
  assert.is(error.code, "unauthenticated");
  assert.is(error.message, "The token is refused: expired");
});

test("SessionTokens verifies a repeated token once", async () => {
  let looks = 0;
  const keys = {
    get version() {
      return world.keys.version;
    },
    get: (keyId: string) => {
      looks++;
      return world.keys.get(keyId);
    },
  };
  const session = new SessionTokens(world.bearer, { ...world.rules, keys });
  const token = await world.mint();
  const claims = session.check(token, NOW_MS);
  assert.is(looks, 1);
  assert.is(session.check(token, NOW_MS + 1_000), claims);
  assert.is(looks, 1);
});

test("SessionTokens forgets a token that ended, was banned, or whose key is gone", async () => {
  const own = await tokenWorld();
  const session = new SessionTokens(own.bearer, own.rules);
  const token = await own.mint();
  assert.type(session.check(token, NOW_MS), "object");
  assert.is(session.check(token, NOW_MS + 600_000), "expired");
  own.bans.ban({ kind: "token", name: TOKEN_ID, reason: "" });
  assert.is(session.check(token, NOW_MS), "banned");
  own.bans.unban("token", TOKEN_ID);
  assert.type(session.check(token, NOW_MS), "object");
  own.keys.replace('{"keys":[]}');
  assert.is(session.check(token, NOW_MS), "unknown_key");
});

test("SessionTokens remembers the last good token alone, and no refusal", async () => {
  const session = new SessionTokens(world.bearer, world.rules);
  const first = await world.mint();
  const second = await world.mint({ lifeMs: 300_000 });
  const claims = session.check(first, NOW_MS);
  assert.is(session.check(first + "=", NOW_MS), "not_base64url");
  assert.is(session.check(first, NOW_MS), claims);
  session.check(second, NOW_MS);
  // Checked again, with the same result.
  assert.is.not(session.check(first, NOW_MS), claims);
  assert.equal(session.check(first, NOW_MS), claims);
});

test.run();
