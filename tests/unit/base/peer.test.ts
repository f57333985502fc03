/** How messages name peers. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ANONYMOUS, type AuthenticatedPeer, peerTitle } from "../../../src/base/peer.ts";

test("peerTitle says identity of those alone that have one", () => {
  const named = (more: Partial<AuthenticatedPeer>) => peerTitle({ ...ANONYMOUS, ...more });
  assert.is(named({}), "An unauthenticated client");
  assert.is(named({ subject: "an anonymous caller" }), "An anonymous caller");
  const subject = "spiffe://mesh.example/region/eu-1/proxy/0197";
  assert.is(named({ role: "proxy", subject }), `The identity ${subject}`);
  const capability = { capabilityId: "0197", scopes: [], idPrefixes: [], expiresAtMs: 0 };
  const bearer = { role: "capability", subject: "capability:0197", capability } as const;
  assert.is(named(bearer), "The capability 0197");
});

test.run();
