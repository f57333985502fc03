/** A client's trust, read from a folder, a file or pins; and the identity of a development peer. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type ErrorCode, RegistryError } from "../../../../src/base/errors.ts";
import { SeededEntropy } from "../../../../src/base/prng.ts";
import type { Trust } from "../../../../transport/transport.ts";
import { formatPin } from "../../../../identity/pki/certificate.ts";
import {
  identityFolder,
  trustOfCaFile,
  trustOfDataFolder,
  trustOfPins,
} from "../../../../identity/trust/credentials.ts";
import { DevelopmentIdentity } from "../../../../identity/enrolment/development_identity.ts";
import { developmentPeer } from "../../../../identity/enrolment/development_peer.ts";
import {
  bindAddress,
  isLoopbackHost,
  refusedListenHost,
} from "../../../../identity/trust/listen_rule.ts";
import { ManualTime } from "../../../support/manual_time.ts";

const hasCode = (code: ErrorCode) => (error: unknown) =>
  error instanceof RegistryError && error.code === code;

test("trustOfDataFolder is the CA of the node that owns the folder", async () => {
  const data = await Deno.makeTempDir();
  try {
    assert.throws(() => trustOfDataFolder(data), hasCode("not_found"));
    const identity = await DevelopmentIdentity.open({
      folder: identityFolder(data),
      wall: new ManualTime(Date.parse("2026-06-01T00:00:00Z")),
      entropy: new SeededEntropy(1),
    });
    const trust: Trust = trustOfDataFolder(data);
    assert.equal(trust, { kind: "ca", pem: [identity.caPem] });
    Deno.writeTextFileSync(`${data}/empty.pem`, "nothing");
    assert.throws(() => trustOfCaFile(`${data}/empty.pem`), hasCode("corrupt"));
  } finally {
    await Deno.remove(data, { recursive: true });
  }
});

test("trustOfPins takes at least one pin, each of them whole", () => {
  const pin = new Uint8Array(32).fill(3);
  assert.equal(trustOfPins([formatPin(pin)]), { kind: "pins", sha256: [pin] });
  assert.throws(() => trustOfPins([]), hasCode("invalid_argument"));
  assert.throws(() => trustOfPins([formatPin(pin), "x"]), hasCode("invalid_argument"));
});

test("developmentPeer is lineage 1 of the role development and can be revoked", () => {
  const controller = new AbortController();
  const peer = developmentPeer({ region: "eu-1", revoked: controller.signal });
  assert.is(peer.lineage, 1);
  assert.is(peer.role, "development");
  assert.is(peer.leafHash.length, 0);
  assert.equal(peer.subjectId, new Uint8Array(16));
  assert.match(peer.subject, /^spiffe:\/\/development\/region\/eu-1\/development\/0{8}-/);
  controller.abort();
  assert.ok(peer.revoked.aborted);
});

test("refusedListenHost allows this machine alone without an authority, and what clients dial with one", () => {
  for (const host of ["127.0.0.1", "::1", "localhost"]) {
    assert.is(refusedListenHost(host), undefined);
    assert.ok(isLoopbackHost(host));
  }
  for (const host of ["0.0.0.0", "::", "192.0.2.1", "example.com", "127.0.0.2", "", "LOCALHOST "]) {
    assert.match(refusedListenHost(host)!, /127\.0\.0\.1, ::1 or localhost/);
    assert.match(refusedListenHost(host)!, /authority/);
  }
  for (const host of ["192.0.2.1", "2001:db8::1", "127.0.0.2", "localhost"]) {
    assert.is(refusedListenHost(host, "certified"), undefined);
  }
  for (const host of ["0.0.0.0", "::", "example.com", ""]) {
    assert.match(refusedListenHost(host, "certified")!, /that clients dial/);
  }
  for (const host of ["0.0.0.0", "::", "192.0.2.1"]) {
    assert.is(refusedListenHost(host, "advertised"), undefined);
  }
  assert.match(refusedListenHost("example.com", "advertised")!, /literal address/);
  assert.is(bindAddress("localhost"), "127.0.0.1");
  assert.is(bindAddress("::1"), "::1");
});

test.run();
