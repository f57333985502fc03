/** SPIFFE ids have exactly one spelling each. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../../src/base/errors.ts";
import {
  formatRegionScope,
  formatSpiffeId,
  parseRegionScope,
  parseSpiffeId,
} from "../../../../identity/pki/spiffe.ts";
import { AGENT, AGENT_ID } from "../../../support/test_pki.ts";

const refuses = (run: () => unknown) =>
  assert.throws(
    run,
    (error: unknown) => error instanceof RegistryError && error.code === "invalid_argument",
  );

test("parseSpiffeId takes apart what formatSpiffeId writes", () => {
  for (const role of ["agent", "gateway", "proxy", "controller", "node"]) {
    for (const domain of ["registry.example", "r", "a-b.c1.example", "a".repeat(63)]) {
      const text = `spiffe://${domain}/region/eu-1/${role}/${AGENT_ID}`;
      const id = parseSpiffeId(text);
      assert.is(id.trustDomain, domain);
      assert.is(id.role, role);
      assert.is(formatSpiffeId(id), text);
    }
  }
});

test("parseSpiffeId refuses every form but the canonical one", () => {
  const refused = [
    "",
    "spiffe://",
    AGENT.slice("spiffe://".length),
    AGENT.replace("spiffe", "SPIFFE"),
    AGENT.replace("spiffe", "https"),
    AGENT.replace("registry", "Registry"),
    AGENT.replace("registry.example", ""),
    AGENT.replace("registry.example", "registry.example:8443"),
    AGENT.replace("registry.example", "user@registry.example"),
    AGENT.replace("registry.example", "registry..example"),
    AGENT.replace("registry.example", "-registry.example"),
    AGENT.replace("registry.example", `${"a".repeat(64)}.example`),
    AGENT.replace("region", "zone"),
    AGENT.replace("eu-1", ""),
    AGENT.replace("eu-1", "EU-1"),
    AGENT.replace("eu-1", "eu%2d1"),
    AGENT.replace("agent", "Agent"),
    AGENT.replace("agent", "development"),
    AGENT.replace(AGENT_ID, AGENT_ID.toUpperCase()),
    AGENT.replace(AGENT_ID, AGENT_ID.slice(1)),
    AGENT.replace(AGENT_ID, "00000000-0000-0000-0000-000000000000"),
    `${AGENT}/`,
    `${AGENT}/x`,
    `${AGENT}?x=1`,
    `${AGENT}#x`,
    `${AGENT} `,
    `${AGENT}\n`,
    AGENT.replace("/region", "//region"),
    AGENT.replace("registry.example", "a.".repeat(200) + "example"),
  ];
  for (const text of refused) refuses(() => parseSpiffeId(text));
});

test("parseRegionScope takes a trust domain and a region and nothing more", () => {
  const scope = { trustDomain: "registry.example", region: "eu-1" };
  assert.is(formatRegionScope(scope), "spiffe://registry.example/region/eu-1");
  assert.equal(parseRegionScope(formatRegionScope(scope)), scope);
  for (
    const text of [AGENT, "spiffe://registry.example", "spiffe://registry.example/region/", ""]
  ) {
    refuses(() => parseRegionScope(text));
  }
});

test.run();
