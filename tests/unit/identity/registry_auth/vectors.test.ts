/**
 * Two whole handshakes, frozen byte by byte: fixed keys, nonces and stand-ins for certificates (see
 * `Realm`). The bytes are the protocol; they are never regenerated to make a test pass.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  decodeClientHello,
  decodeClientProof,
  decodeServerDone,
  decodeServerHello,
  encodeClientHello,
  encodeClientProof,
  encodeServerDone,
  encodeServerHello,
  withSignature,
} from "../../../../identity/registry_auth/frames.ts";
import { signedContent } from "../../../../identity/registry_auth/mod.ts";
import { concatBytes, fromHex, toHex } from "../../../../src/base/bytes.ts";
import type { Role } from "../../../../src/base/peer.ts";
import {
  clientEnd,
  exchange,
  NOT_AFTER_MS,
  outcome,
  Realm,
  serverEnd,
  sha256,
} from "../../../support/auth_realm.ts";

interface Vector {
  readonly name: string;
  readonly pinned: boolean;
  readonly role: Role;
  readonly token: string;
  /** M1 to M4. */
  readonly frames: readonly string[];
  /** The signed bytes of M2, M3 and M4. */
  readonly signed: readonly string[];
}

const path = new URL("../../../vectors/registry_auth.json", import.meta.url);
const vectors: Vector[] = JSON.parse(await Deno.readTextFile(path)).vectors;

const bytesOf = (hex: string) => fromHex(hex)!;

test("vectors: a handshake of fixed keys and nonces has exactly these bytes", () => {
  assert.is(vectors.length, 2);
  for (const { name, pinned, role, token, frames } of vectors) {
    const realm = new Realm();
    const server = realm.enrol("node", 1);
    const client = realm.enrol(role, 2);
    realm.admittance = { expiresAtMs: NOT_AFTER_MS - 7_000, ...(token === "" ? {} : { token }) };
    const near = clientEnd(realm, client, pinned ? server : undefined);
    const sent = exchange(near, serverEnd(realm, server));
    assert.is(outcome(near), "done", name);
    assert.equal(sent.map(toHex), frames, name);
  }
});

test("vectors: each frame decodes, and encodes to the same bytes", () => {
  for (const { name, frames } of vectors) {
    const [m1, m2, m3, m4] = frames.map(bytesOf);
    const hello = decodeServerHello(m2!);
    const proof = decodeClientProof(m3!);
    const done = decodeServerDone(m4!);
    const again = [
      encodeClientHello(decodeClientHello(m1!)),
      withSignature(encodeServerHello(hello), hello.signature),
      withSignature(encodeClientProof(proof), proof.signature),
      withSignature(encodeServerDone(done), done.signature),
    ];
    assert.equal(again.map(toHex), frames, name);
  }
});

test("vectors: the signed contents are 64 spaces, the context, a zero and the hash", async () => {
  const contexts = ["server-hello", "client", "server-done"] as const;
  for (const { name, frames, signed } of vectors) {
    const all = frames.map(bytesOf);
    for (const [index, context] of contexts.entries()) {
      const parts = all.slice(0, index + 2);
      parts.push(parts.pop()!.slice(0, -64));
      const content = await signedContent({ context, transcript: concatBytes(parts) }, sha256);
      assert.is(toHex(content), signed[index], `${name} ${context}`);
    }
  }
});

test.run();
