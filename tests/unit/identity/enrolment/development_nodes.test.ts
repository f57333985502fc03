/** Node identities of a development cluster: one CA for all, and certificates that peers accept. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { SeededEntropy } from "../../../../src/base/prng.ts";
import { RegistryError } from "../../../../src/base/errors.ts";
import { DevelopmentNodes } from "../../../../identity/enrolment/development_nodes.ts";
import { handshakeServices } from "../../../../identity/trust/handshake_services.ts";
import { NOW_MS } from "../../../support/test_pki.ts";
import { inTemporaryFolder } from "../../../support/temporary_folder.ts";

const clock = {
  nowMs: NOW_MS,
  unixMs: () => clock.nowMs,
};

function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  clock.nowMs = NOW_MS;
  return inTemporaryFolder((folder) => run(`${folder}/ca`));
}

const open = (folder: string, seed: number, region = "eu-1") =>
  DevelopmentNodes.open({ folder, region, wall: clock, entropy: new SeededEntropy(seed) });

const subjectId = (value: number) => new Uint8Array(16).fill(value);

test("DevelopmentNodes opened at the same time by three nodes is one CA, and each believes the others", async () => {
  await withFolder(async (folder) => {
    const all = await Promise.all([1, 2, 3].map((seed) => open(folder, seed)));
    const identities = await Promise.all(
      all.map((nodes, at) => nodes.identityOf({ nodeId: at + 1, subjectId: subjectId(at + 1) })),
    );
    for (const nodes of all) {
      const services = handshakeServices({
        own: () => identities[0]!.own,
        trust: () => nodes.trust,
        wall: clock,
      });
      for (const [at, { own }] of identities.entries()) {
        for (const end of ["client", "server"] as const) {
          const judged = await services.judge(end, own.chain);
          assert.ok("subject" in judged, JSON.stringify(judged));
          assert.is(judged.role, "node");
          assert.is(judged.region, "eu-1");
          assert.equal(judged.subjectId, subjectId(at + 1));
        }
      }
    }
    const files = Array.from(Deno.readDirSync(folder), ({ name }) => name);
    assert.equal(files, ["node-ca.pem"]);
    assert.is(Deno.statSync(`${folder}/node-ca.pem`).mode! & 0o777, 0o600);
  });
});

test("DevelopmentNodeIdentity renews its certificate at half of its life, and not before", async () => {
  await withFolder(async (folder) => {
    const nodes = await open(folder, 1);
    const identity = await nodes.identityOf({ nodeId: 1, subjectId: subjectId(1) });
    const { leafHash, notAfterMs } = identity.own.identity;
    assert.is(notAfterMs, NOW_MS + 3_600_000);
    clock.nowMs += 20 * 60_000;
    await identity.check();
    assert.equal(identity.own.identity.leafHash, leafHash);
    clock.nowMs += 25 * 60_000;
    await identity.check();
    assert.not.equal(identity.own.identity.leafHash, leafHash);
    assert.is(identity.own.identity.notAfterMs, clock.nowMs + 3_600_000);
  });
});

test("DevelopmentNodes refuses a CA of another folder's cluster, of another region, and a damaged one", async () => {
  await withFolder(async (folder) => {
    const nodes = await open(folder, 1);
    const other = await open(`${folder}/other`, 2);
    const { own } = await other.identityOf({ nodeId: 2, subjectId: subjectId(2) });
    const services = handshakeServices({ own: () => own, trust: () => nodes.trust, wall: clock });
    assert.is(
      (await services.judge("client", own.chain) as { fault: string }).fault,
      "certificate",
    );
    const elsewhere = await open(folder, 3, "us-1");
    const refused = await elsewhere.identityOf({ nodeId: 1, subjectId: subjectId(1) })
      .catch((error) => error);
    assert.is((refused as RegistryError).code, "unauthenticated");
    Deno.writeTextFileSync(`${folder}/node-ca.pem`, "damaged");
    const damaged = await open(folder, 4).catch((error) => error);
    assert.ok(damaged instanceof RegistryError);
    assert.is(damaged.code, "corrupt");
    assert.match(damaged.message, /Remove it with all nodes stopped/);
  });
});

test.run();
