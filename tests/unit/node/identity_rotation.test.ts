/** Every key and certificate of identities is replaced under load, and no request fails. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { rotateUnderLoad } from "../../support/identity_rotation.ts";

/** Each of them reconnects once within the load. */
const SESSIONS = 20;

test("leaves, TLS certificate, intermediate and token key rotate while sessions work", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const figures = await rotateUnderLoad(folder, SESSIONS);
    assert.equal(figures.failures, {});
    assert.equal(figures.troubles, []);
    assert.is(figures.lost, 0);
    assert.ok(figures.requests > SESSIONS * 90, String(figures.requests));
    assert.is(figures.leavesRenewed, SESSIONS);
    assert.is(figures.leavesOfNewIntermediate, SESSIONS);
    assert.is(figures.tlsRotated, true);
    assert.is(figures.tokenKeys.length, 2);
    assert.is(figures.publishedKeys, 1, "The old key was withdrawn after its last token");
    assert.is(figures.nodeLeafRenewed, true);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

test.run();
