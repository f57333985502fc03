/**
 * Measures the cost of identity on hot paths: checking a token for the first time and again, the
 * access rules that are evaluated for each request, and the redaction of credential hashes. Runs in
 * one process, because nothing here waits for another.
 */
import { idRequestCodec, requestCodec } from "../schemas/gen/wire.ts";
import { agentCodec } from "../schemas/gen/record.ts";
import { FrameWriter } from "../schemas/runtime/writer.ts";
import { type AuthenticatedPeer, NO_GRANTS, type Role } from "../src/base/peer.ts";
import { AccessControl } from "../src/serving/access_control.ts";
import { CredentialRedaction } from "../src/serving/credential_redaction.ts";
import { KIND_AGENT } from "../src/record/key.ts";
import { OPERATIONS } from "../src/wire/operations/mod.ts";
import { BanList } from "../identity/trust/ban_list.ts";
import { decodeBase64url } from "../src/base/base64url.ts";
import { signingKeyOfSeed, verifyingKey } from "../identity/pki/ed25519.ts";
import { mintToken, type TokenClaims } from "../identity/tokens/token.ts";
import {
  readTokenForm,
  SessionTokens,
  type TokenBearer,
  type TokenRules,
} from "../identity/tokens/token_check.ts";
import {
  keyIdOf,
  publishedKeys,
  PublishedTokenKeys,
  withKey,
} from "../identity/tokens/token_keys.ts";
import type { ResultFile } from "./harness.ts";

const NOW_MS = Date.UTC(2026, 0, 1);

/** Count of rounds; the result is their median. */
const ROUNDS = 9;

/** Returns the microseconds per call: the median of some rounds, after one round to warm up. */
async function usPerCall(calls: number, run: () => unknown): Promise<number> {
  const found: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const startMs = performance.now();
    for (let call = 0; call < calls; call++) {
      const waiting = run();
      if (waiting instanceof Promise) await waiting;
    }
    if (round > 0) found.push((performance.now() - startMs) * 1_000 / calls);
  }
  return found.sort((left, right) => left - right)[ROUNDS >> 1]!;
}

/** Returns a token, its bearer, and the rules it is checked by. */
async function tokenCase(): Promise<{ token: string; bearer: TokenBearer; rules: TokenRules }> {
  const key = await signingKeyOfSeed(new Uint8Array(32).fill(1));
  const publicKey = key.verifying.bytes;
  const keys = new PublishedTokenKeys();
  keys.replace(publishedKeys(withKey([], publicKey, NOW_MS), NOW_MS));
  const issuer = "spiffe://registry.example";
  const audience = "spiffe://registry.example/region/eu";
  const subject = `${audience}/agent/6f1c2f6e-8a58-5d0c-9f6e-0d8d6c1b7a11`;
  const bearer = { subject, leafHash: new Uint8Array(32) };
  const token = await mintToken({
    ...bearer,
    issuer,
    audience,
    tokenId: "0b5d3c52-6b1f-4b6e-9a3e-0d1b2c3d4e5f",
    nowMs: NOW_MS,
    lifeMs: 600_000,
    grants: { domains: ["bank.example"], gateways: ["2a1c2f6e-8a58-5d0c-9f6e-0d8d6c1b7a12"] },
  }, { keyId: keyIdOf(publicKey), key });
  return { token, bearer, rules: { issuer, audience, keys, bans: new BanList() } };
}

/** Runs all of these measurements. */
export async function benchIdentity(file: ResultFile): Promise<void> {
  await benchTokens(file);
  await benchAdmission(file);
}

const OWN_ID = new Uint8Array(16).fill(1);

function peerOf(role: Role): AuthenticatedPeer {
  return {
    subject: `spiffe://registry.example/region/eu/${role}/01010101-0101-0101-0101-010101010101`,
    subjectId: OWN_ID,
    role,
    region: "eu",
    leafHash: new Uint8Array(32),
    lineage: 1,
    grants: NO_GRANTS,
    expiresAtMs: Infinity,
    pinned: true,
    revoked: new AbortController().signal,
  };
}

/** Returns a function that reads a GetAgent request from a stream's buffer. */
function getAgentRequest() {
  const out = new FrameWriter({ bytesMax: 1 << 16 });
  const envelope = { ...requestCodec.empty(), id: 1, operation: OPERATIONS.getAgent.id };
  requestCodec.append(out, envelope, idRequestCodec, { id: OWN_ID });
  const bytes = out.written.slice();
  const view = new DataView(bytes.buffer);
  const request = requestCodec.newView();
  // Wrapped for each use, as a stream does: the work that reading a message may cause is bounded.
  return () => request.wrap(view, bytes, 0, bytes.length);
}

/** Measures the access rules for a read by each role, and a record with a hash sent to a proxy. */
async function benchAdmission(file: ResultFile): Promise<void> {
  const access = new AccessControl();
  const request = getAgentRequest();
  const costs: Record<string, number> = {};
  for (const role of ["agent", "gateway", "proxy", "development"] as const) {
    const peer = peerOf(role);
    const us = await usPerCall(200_000, () => access.admit(peer, OPERATIONS.getAgent, request()));
    costs[`${role}Us`] = Number(us.toFixed(3));
  }
  file.write({ bench: "admission", ...costs, mostUs: Math.max(...Object.values(costs)) });

  const redaction = new CredentialRedaction();
  const stored = (credentialHash: Uint8Array) => {
    const extra = { credentialHash, labels: [], superseded: [] };
    const bytes = agentCodec.encode({ ...agentCodec.empty(), id: OWN_ID, extra });
    return { bytes, view: new DataView(bytes.buffer), start: 0, end: bytes.length };
  };
  const proxy = peerOf("proxy");
  const withHash = stored(new Uint8Array(32).fill(1));
  const without = stored(new Uint8Array(0));
  file.write({
    bench: "credential redaction",
    withHashUs: Number(
      (await usPerCall(100_000, () => redaction.redact(proxy, KIND_AGENT, withHash))).toFixed(3),
    ),
    withoutHashUs: Number(
      (await usPerCall(100_000, () => redaction.redact(proxy, KIND_AGENT, without))).toFixed(3),
    ),
  });
}

/** Measures the check of new tokens and of repeated tokens. */
async function benchTokens(file: ResultFile): Promise<void> {
  const { token, bearer, rules } = await tokenCase();
  const first = await usPerCall(1_000, () => {
    // Use a new session each time, so that nothing but the key is cached.
    return new SessionTokens(bearer, rules).check(token, NOW_MS);
  });
  const session = new SessionTokens(bearer, rules);
  await session.check(token, NOW_MS);
  // Use a different string each time, as a decoder does: equal, but not the same object.
  const copies = Array.from({ length: 64 }, () => ["", ...token].join(""));
  let copy = 0;
  const repeated = await usPerCall(
    20_000,
    () => session.check(copies[copy++ & 63]!, NOW_MS),
  );
  // jose's check would wait for WebCrypto, which means a round trip to another thread.
  const { keyId } = readTokenForm(token) as TokenClaims;
  const { handle } = await verifyingKey(rules.keys.get(keyId)!);
  const signed = new TextEncoder().encode(token.slice(0, token.lastIndexOf(".")));
  const signature = decodeBase64url(token.slice(token.lastIndexOf(".") + 1))!;
  const alone = await usPerCall(1_000, async () => {
    const isValid = await crypto.subtle.verify("Ed25519", handle, signature, signed);
    if (!isValid) throw new Error("The token of the bench is not signed");
  });
  file.write({
    bench: "token",
    tokenBytes: token.length,
    firstUs: Math.round(first),
    signatureAloneUs: Math.round(alone),
    repeatedUs: Number(repeated.toFixed(2)),
  });
}
