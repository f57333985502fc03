/** The names of bans: one spelling, and no names that cannot exist. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { BanKind } from "../../../../schemas/gen/wire.ts";
import { RegistryError } from "../../../../src/base/errors.ts";
import { banDetail, canonicalBanName } from "../../../../src/serving/identities/ban_names.ts";
import { CertifiedRegistry, REGION, TRUST_DOMAIN } from "../../../support/certified_registry.ts";
import { MINUTE_MS } from "../../../support/test_pki.ts";

const ID = "aaaaaaaa-1111-4111-8111-11111111111a";
const SUBJECT = `spiffe://${TRUST_DOMAIN}/region/${REGION}/gateway/${ID}`;

function codeOf(run: () => unknown): string {
  try {
    return String(run());
  } catch (error) {
    if (error instanceof RegistryError) return error.code;
    throw error;
  }
}

test("canonicalBanName gives the one spelling that is compared, or refuses", () => {
  const cases: [BanKind, string, string][] = [
    ["subject", SUBJECT, SUBJECT],
    ["subject", SUBJECT.replace(ID, ID.toUpperCase()), SUBJECT],
    ["subject", ` ${SUBJECT}\n`, SUBJECT],
    ["subject", "nosuch", "invalid_argument"],
    ["subject", ID, "invalid_argument"],
    ["subject", SUBJECT.replace(TRUST_DOMAIN, "other.example"), "invalid_argument"],
    ["subject", SUBJECT.replace("/gateway/", "/king/"), "invalid_argument"],
    ["lineage", "7", "7"],
    ["lineage", "abc", "invalid_argument"],
    ["lineage", "07", "invalid_argument"],
    ["lineage", "4294967296", "invalid_argument"],
    ["token", ID.toUpperCase(), ID],
    ["token", "nope", "invalid_argument"],
    ["capability", ID.toUpperCase(), ID],
    ["capability", "crs-cap-x", "invalid_argument"],
  ];
  for (const [kind, name, expected] of cases) {
    assert.is(codeOf(() => canonicalBanName({ kind, name }, TRUST_DOMAIN)), expected, name);
  }
});

test("banDetail says the kind and how long", () => {
  const ban = { kind: "subject", reason: "lost", untilMs: 0, lifted: false } as const;
  assert.is(banDetail(ban), "subject, until it is lifted: lost");
  assert.is(banDetail({ ...ban, untilMs: 5_000 }), "subject, until 1970-01-01T00:00:05.000Z: lost");
  assert.is(banDetail({ ...ban, reason: "", lifted: true }), "subject");
});

test("a ban in capitals keeps its subject out, and junk is refused by every door", async () => {
  const folder = await Deno.makeTempDir();
  const node = await CertifiedRegistry.open(folder);
  const { world, registry: { identities } } = node;
  const ban = (kind: BanKind, name: string, more: { untilMs?: number; lifted?: boolean } = {}) =>
    world.wait(
      identities.administration.ban(
        { kind, name, reason: "", untilMs: 0, lifted: false, ...more },
        3,
        world.nowMs() + MINUTE_MS,
      ).then((made) => made.known, (error: RegistryError) => error.code),
    );
  const kept = await world.wait(node.join("gateway", ID));
  const capitals = SUBJECT.replace(ID, ID.toUpperCase());
  assert.is(await ban("subject", capitals), true);
  const refused = await world.wait(node.connect(kept).then(() => "in", (error) => error.code));
  assert.is(refused, "unauthenticated");
  assert.is(await ban("subject", capitals, { lifted: true }), true);
  const client = await world.wait(node.connect(kept));
  await world.wait(client.close());

  assert.is(await ban("subject", SUBJECT.replace(ID, ID.replaceAll("a", "b"))), false);
  assert.is(await ban("lineage", "999"), "not_found");
  assert.is(await ban("token", "nope"), "invalid_argument");
  assert.is(await ban("token", ID, { untilMs: world.unixMs() - 1 }), "invalid_argument");
  assert.is(await ban("token", ID), false, "no token with grants has this id");
  assert.is(await ban("token", ID, { lifted: true }), false);
  const [listed, ...others] = identities.group.state.bans();
  assert.equal(others, []);
  assert.equal([listed!.writer, listed!.unixS > 0], [3, true]);
  await node.close();
  await Deno.remove(folder, { recursive: true });
});

test.run();
