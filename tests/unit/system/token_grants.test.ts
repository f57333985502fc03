/** Group 0's records of token grants: bounded, separated by lineage, and kept in images. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import { TOKEN_GRANT_KEPT_MS, TOKEN_GRANTS_PER_LINEAGE_MAX } from "../../../src/base/limits.ts";
import { encodeGrant } from "../../../src/system/identity_codec.ts";
import { SystemStore } from "../../../src/system/system_store.ts";
import { type TokenGrant, TokenGrants } from "../../../src/system/token_grants.ts";

const HEADER = { timeMs: 1, unixS: 1, writer: 3 };

function grantOf(tokenId: string, untilMs: number, lineage = 7): TokenGrant {
  const grants = { domains: ["bank.example"], gateways: [] };
  return { tokenId, lineage, subject: `subject ${lineage}`, grants, untilMs };
}

test("a lineage's ended grants give way to its next one, and never all vanish", () => {
  const grants = new TokenGrants();
  grants.add(grantOf("a", 1_000), 0);
  grants.add(grantOf("b", 9_000), 2_000);
  assert.equal(grants.of(7)!.map(({ tokenId }) => tokenId), ["b"]);
  assert.is(grants.get("a"), undefined);
  // An ended grant is kept until another one follows: records may depend on it.
  grants.add(grantOf("c", 20_000, 8), 10_000);
  assert.is(grants.of(7)!.length, 1);
  grants.add(grantOf("d", 9e9, 8), 9_000 + TOKEN_GRANT_KEPT_MS);
  assert.is(grants.of(7), undefined);
});

test("token grants: limited for each lineage, and a refusal changes nothing", () => {
  const grants = new TokenGrants();
  for (let at = 0; at < TOKEN_GRANTS_PER_LINEAGE_MAX; at++) grants.add(grantOf(`${at}`, 5_000), 0);
  try {
    grants.add(grantOf("more", 5_000), 4_999);
    assert.unreachable("It must be refused");
  } catch (error) {
    assert.instance(error, RegistryError);
    assert.is((error as RegistryError).code, "overloaded");
  }
  assert.is(grants.of(7)!.length, TOKEN_GRANTS_PER_LINEAGE_MAX);
  grants.add(grantOf("next", 9_000), 5_000);
  assert.is(grants.of(7)!.length, 1);
});

test("an image keeps grants, and their issue is audited once", () => {
  const store = new SystemStore();
  const grant = grantOf("a", 5_000);
  const data = encodeGrant(HEADER, grant, "token a: domain bank.example");
  assert.is(store.apply({ index: 1, term: 1, data }).code, "ok");
  const copy = new SystemStore();
  copy.loadImage(store.writeImage());
  assert.equal([...copy.identities.grants.values()], [grant]);
  assert.equal([store.identities.audit.count, copy.identities.audit.count], [1, 1]);
  assert.equal(copy.identities.audit.head, store.identities.audit.head);
});

test.run();
