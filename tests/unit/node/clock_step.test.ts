/** A node with an authority whose wall clock is set while it runs. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { bytesEqual } from "../../../src/base/bytes.ts";
import { IDENTITY_CHECK_MS, WALL_LOOK_MS } from "../../../src/base/limits.ts";
import { DOCUMENTS } from "../../../schemas/gen/identity.ts";
import { CertifiedRegistry } from "../../support/certified_registry.ts";
import { DAY_MS, MINUTE_MS } from "../../support/test_pki.ts";

test("CertifiedNodeIdentity renews its leaf and the trust bundle once the clock was set forwards", async () => {
  const folder = await Deno.makeTempDir();
  const node = await CertifiedRegistry.open(folder);
  try {
    const { world, registry: { identities } } = node;
    const published = () => identities.group.state.document(DOCUMENTS.trustBundle)!.bytes.slice();
    const before = published();
    // Between two of the periodic checks.
    await world.pass(IDENTITY_CHECK_MS / 4);
    assert.ok(bytesEqual(published(), before));
    const [subject] = node.identity.notice.split(": ");
    const leafEndsMs = () => identities.group.state.lineageOf(subject!)!.latest.notAfterMs;
    // Its TLS certificates are valid for days more, so no other check reads the clock.
    world.wallOffsetMs += 120 * MINUTE_MS;
    assert.ok(leafEndsMs() < world.unixMs());
    await world.pass(2 * WALL_LOOK_MS);
    assert.ok(leafEndsMs() > world.unixMs());
    // TLS certificates and bundle are due together, and published one after the other.
    world.wallOffsetMs += 20 * DAY_MS;
    await world.pass(2 * WALL_LOOK_MS);
    assert.not(bytesEqual(published(), before));
    assert.equal(node.troubles, []);
  } finally {
    await node.close();
    await Deno.remove(folder, { recursive: true });
  }
});

test.run();
