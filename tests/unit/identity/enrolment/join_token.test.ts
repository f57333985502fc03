/** Join tokens: shown once, known by their hash. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../../src/base/errors.ts";
import { NO_GRANTS } from "../../../../src/base/peer.ts";
import { SeededEntropy } from "../../../../src/base/prng.ts";
import { createJoinToken, hashJoinToken } from "../../../../identity/enrolment/join_token.ts";
import { parseSpiffeId } from "../../../../identity/pki/spiffe.ts";
import { AGENT, MINUTE_MS, NOW_MS } from "../../../support/test_pki.ts";

const options = {
  subject: parseSpiffeId(AGENT),
  grants: { ...NO_GRANTS, domains: ["bank.example"] },
  nowMs: NOW_MS,
  entropy: new SeededEntropy(1),
};

test("createJoinToken gives a text whose hash alone is in the record", () => {
  const { text, record } = createJoinToken(options);
  assert.match(text, /^crs-join-[A-Za-z0-9_-]{43}$/);
  assert.equal(hashJoinToken(text), record.hash);
  assert.is(record.subject, AGENT);
  assert.is(record.expiresAtMs, NOW_MS + 10 * MINUTE_MS);
  assert.is(record.spent, undefined);
  assert.not.match(JSON.stringify(record), text.slice("crs-join-".length));
  assert.is.not((createJoinToken(options)).text, text);
});

test("createJoinToken refuses grants that no certificate could carry", () => {
  for (const domains of [["Bank.example"], ["bank..example"], ["*"], ["*.*.example"]]) {
    try {
      createJoinToken({ ...options, grants: { ...NO_GRANTS, domains } });
      assert.unreachable(domains[0]);
    } catch (error) {
      assert.ok(error instanceof RegistryError && error.code === "invalid_argument");
    }
  }
});

test("hashJoinToken takes a token's text in its one form", () => {
  const { text } = createJoinToken(options);
  const last = text.at(-1)!;
  const loose = text.slice(0, -1) + String.fromCharCode(last.charCodeAt(0) + 1);
  for (const bad of ["", "crs-join-", text.slice(9), `${text}=`, `${text}A`, ` ${text}`, loose]) {
    assert.is(hashJoinToken(bad), undefined, bad);
  }
});

test.run();
