/** Certificates that are issued without a record: for members without a leader of group 0, and TLS. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { createCertificateRequest } from "../../../../identity/pki/certificate_request.ts";
import { DEFAULT_RENEWAL_GRACE } from "../../../../identity/enrolment/enrolment.ts";
import { proveRenewal } from "../../../../identity/enrolment/renewal_proof.ts";
import { BanList } from "../../../../identity/trust/ban_list.ts";
import { createKey } from "../../../../identity/pki/certificate_key.ts";
import { nodeId } from "../../../../src/base/ids.ts";
import { SERVER_CERTIFICATE_LIFE_MS } from "../../../../src/base/limits.ts";
import { RegistryError, toRegistryError } from "../../../../src/base/errors.ts";
import { SILENT_LOGGER } from "../../../../src/base/logger.ts";
import { nodeIdentityFolder } from "../../../../src/node/node_certificate.ts";
import { EnrolmentService } from "../../../../src/serving/identities/enrolment_service.ts";
import type { IdentityGroup } from "../../../../src/serving/identities/identity_group.ts";
import { nodeSubjectId } from "../../../../src/serving/node_subject.ts";
import { Refusals } from "../../../../src/serving/refusals.ts";
import { CertifiedRegistry } from "../../../support/certified_registry.ts";

const HOUR_MS = 3_600_000;

const registry = await CertifiedRegistry.open(await Deno.makeTempDir());
const { world, registry: { identities: { group } } } = registry;
const folder = nodeIdentityFolder(`${registry.folder}/data`);
const key = await folder.key();
const chain = folder.chain!;
await world.pass(2 * HOUR_MS);

/** The code by which a member's ended certificate is refused while group 0 has no leader. */
async function renewal(
  { stopped, isMember = true }: { stopped?: string; isMember?: boolean } = {},
): Promise<string> {
  const { authority, trust, trustBundle } = group;
  const lineage = stopped === undefined ? undefined : { stopped };
  const leaderless = {
    ...{ authority, trust, trustBundle },
    state: { lineage: () => lineage },
    current: () => Promise.reject(new RegistryError("not_leader", "Group 0 has no leader")),
  };
  const service = new EnrolmentService(leaderless as unknown as IdentityGroup, {
    bans: new BanList(),
    grace: DEFAULT_RENEWAL_GRACE,
    refusals: new Refusals({ monotonic: world, logger: SILENT_LOGGER }),
    wall: world,
    entropy: world.entropy,
    logger: SILENT_LOGGER,
    isMember: () => isMember,
    checkJoining: () => {},
  });
  const request = await createCertificateRequest(key);
  const timeMs = Math.floor(world.unixMs());
  const proof = await proveRenewal({ request, timeMs }, key);
  const renewed = service.renew({ chain, request, timeMs, proof }, world.nowMs() + 5_000);
  return await renewed.then(() => "issued", (error) => toRegistryError(error).code);
}

test("EnrolmentService: without a leader, a member whose certificate has ended gets one", async () => {
  assert.is(await renewal(), "issued");
  assert.is(await renewal({ isMember: false }), "not_leader");
});

test("EnrolmentService: a certificate of a stopped lineage is not bridged", async () => {
  assert.is(await renewal({ stopped: "banned" }), "unauthenticated");
});

test("EnrolmentService: a TLS certificate begins within the life of the one before it", async () => {
  const { identities: { enrolment }, cluster: { clusterId } } = registry.registry;
  const node = { subjectId: nodeSubjectId(clusterId, 1) };
  const pin = new Uint8Array(32);
  const member = { nodeId: nodeId(1), addresses: [], pin, nextPin: pin };
  await world.wait(registry.registry.putMember(member));
  const { key: { publicKey: { bytes: publicKey } } } = await createKey("P-256", world.entropy);
  const signed = (startMs: number) =>
    enrolment.signServer(
      { publicKey, names: ["localhost"], notBeforeMs: world.unixMs() + startMs },
      node,
    ).then(() => "signed", (error) => toRegistryError(error).fields.field);
  assert.is(await signed(SERVER_CERTIFICATE_LIFE_MS), "signed");
  assert.is(await signed(30 * 24 * HOUR_MS), "notBeforeMs");
});

test("close the node", () => registry.close());

test.run();
