/**
 * The token that a node with real keys issues with each session, if its operator named an audience.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { BanList } from "../../../identity/trust/ban_list.ts";
import { checkToken } from "../../../identity/tokens/token_check.ts";
import { PublishedTokenKeys } from "../../../identity/tokens/token_keys.ts";
import { NO_GRANTS } from "../../../src/base/peer.ts";
import { connect } from "../../../src/client/client.ts";
import type { Trust } from "../../../transport/transport.ts";
import { CertifiedRegistry, REGION, TRUST_DOMAIN } from "../../support/certified_registry.ts";

const AUDIENCE = "api.example";
const folder = await Deno.makeTempDir();
const node = await CertifiedRegistry.open(folder, REGION, { sessionTokenAudience: AUDIENCE });
const { world } = node;
const grants = { ...NO_GRANTS, domains: ["a.example"] };
const kept = await world.wait(node.join("agent", "22222222-1111-4111-8111-111111111111", grants));

/**
 * Returns the tokens that a session over `trust` is given, and a function that closes its client.
 */
async function session(trust: Trust): Promise<{ given: string[]; close(): Promise<void> }> {
  const given: string[] = [];
  const { pins: _, ...credentials } = kept.credentials;
  const client = await world.wait(connect({
    endpoints: [{ host: "127.0.0.1", port: 4_100 }],
    dialer: node.dialer(),
    trust,
    world,
    credentials: {
      ...credentials,
      tokens: { current: () => undefined, given: (token) => void given.push(token) },
    },
  }));
  return { given, close: () => world.wait(client.close()) };
}

test("a session is given a token for its certificate, which others check by the published keys", async () => {
  const { given, close } = await session(node.pins);
  assert.is(given.length, 1);
  const keys = new PublishedTokenKeys();
  keys.replace(node.registry.identities.tokens.keys());
  const rules = {
    issuer: `spiffe://${TRUST_DOMAIN}`,
    audience: AUDIENCE,
    keys,
    bans: new BanList(),
  };
  const claims = checkToken(given[0]!, kept.own.identity, rules, world.unixMs());
  assert.ok(typeof claims === "object", String(claims));
  assert.equal(claims.grants.domains, ["a.example"]);
  // Its longest life is a quarter of an hour, or the rest of the certificate's life.
  assert.ok(claims.expiresAtMs - world.unixMs() <= 900_000);
  assert.ok(claims.expiresAtMs <= kept.own.identity.notAfterMs);
  await close();
});

test("a session that was not pinned is given none", async () => {
  const { given, close } = await session({ kind: "ca", pem: [] });
  assert.equal(given, []);
  await close();
});

test("teardown: all sessions end", async () => {
  assert.equal(node.troubles, []);
  await node.close();
  await Deno.remove(folder, { recursive: true });
});

test.run();
