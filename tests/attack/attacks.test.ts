/**
 * The attack suite: each attack that identities must withstand, and the tests that carry it out,
 * which are next to the code that they attack. This file checks that none of them is lost or
 * renamed unnoticed; tests that need a whole node are in this folder.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";

const HANDSHAKE = "unit/identity/registry_auth/attacks.test.ts";
const RUN = "unit/identity/registry_auth/run_handshake.test.ts";
const PATH = "unit/identity/pki/path_validation.test.ts";
const TOKEN = "unit/identity/tokens/token.test.ts";
const ENROLMENT = "unit/identity/enrolment/enrolment.test.ts";
const ACCESS = "unit/serving/access.test.ts";
const SESSIONS = "unit/node/certified_sessions.test.ts";
const SOCKETS = "unit/node/certified_node.test.ts";
const TLS = "unit/transport/tls.test.ts";
const NODE = "attack/whole_node.test.ts";
const FRONTS = "attack/fronts.test.ts";
const CAPABILITY = "unit/identity/capabilities/capability.test.ts";
const DELEGATIONS = "unit/serving/delegations.test.ts";
const HOSTILE = "attack/hostile_member.test.ts";

/** File and name of a test, or of a row of a table from which a file creates its tests. */
type Where = readonly [file: string, name: string];

const tokenFault = (name: string): Where[] => [[TOKEN, name]];

const SUITE: Readonly<Record<string, readonly Where[]>> = {
  "replayed M1": [
    [HANDSHAKE, "a replayed M1 brings the attacker nothing: without the key it has no M3"],
  ],
  "replayed M2": [[HANDSHAKE, "a replayed M2 is refused: it answers another nonce"]],
  "replayed M3": [[HANDSHAKE, "a replayed M3 is refused: it answers another server nonce"]],
  "replayed M4": [[HANDSHAKE, "a replayed M4 is refused: it belongs to another exchange"]],
  "relay by another server of the same CA, pinned": [
    [HANDSHAKE, "relay by another legitimate server is refused where the client pinned its leaf"],
    [HANDSHAKE, "a relay that takes the pin out of M1 is noticed by the client"],
    [
      HANDSHAKE,
      "a relay that sets its victim's leaf into M1 is noticed by the client's signature check",
    ],
  ],
  "relay by another server of the same CA, unpinned": [
    [
      HANDSHAKE,
      "relay of a client without pin and name comes through, marked at both ends, without token",
    ],
    [SESSIONS, "a session without a pin may read and nothing else"],
    [SESSIONS, "a session that was not pinned takes no token and is given none"],
    [SOCKETS, "a gateway over QUIC that knows a CA alone reads, and writes nothing"],
  ],
  "mis-issued server certificate": [
    [
      HANDSHAKE,
      "a certificate mis-issued for another node is refused where the client names its server",
    ],
    [HANDSHAKE, "a server certificate of another authority is refused"],
  ],
  "downgrade of the version": [
    [HANDSHAKE, "a downgrade of the version is refused by the server, and by the client"],
  ],
  "downgrade of the suite": [
    [HANDSHAKE, "a downgrade of the suite is refused by the server, and by the client"],
  ],
  "reflection": [
    [HANDSHAKE, "reflection: an end's own frames sent back to it prove nothing"],
    [HANDSHAKE, "reflection: a server refuses a client that shows the server's own identity"],
  ],
  "0-RTT data": [
    [HANDSHAKE, "0-RTT data: M1 in early data is answered, and nothing else is before M4"],
  ],
  "stolen leaf renewed": [
    [ENROLMENT, "decideRenewal: the second renewal of thief and owner stops both"],
    [NODE, "a stolen certificate that is renewed stops its lineage, and all of its sessions"],
  ],
  "expired certificate": [[PATH, "validatePath judges validity at the time that it is given"]],
  "certificate that is not yet valid": [
    [PATH, "validatePath judges validity at the time that it is given"],
    [PATH, "validatePath judges each CA's validity too"],
  ],
  "certificate for another use": [
    [PATH, "validatePath requires each key's usage to match its use"],
    [PATH, "validatePath tells identities, servers and bundle signers apart"],
  ],
  "certificate of another trust domain": [
    [PATH, "validateIdentity holds the leaf to its trust domain and to the region of its CA"],
  ],
  "certificate with two SPIFFE URIs": [
    [PATH, "validateIdentity wants exactly one SPIFFE id and no other name"],
  ],
  "chain through a certificate that is no CA": [
    [PATH, "validatePath refuses a chain through a certificate that is no CA"],
  ],
  "path length": [[PATH, "validatePath keeps path lengths"]],
  "unknown critical extension": [
    [PATH, "validatePath refuses a critical extension that it does not understand"],
  ],
  "token with a header name twice": tokenFault("a header name twice"),
  "token with a claim's name twice": tokenFault("a claim twice"),
  "token with exp 1e400": tokenFault("exp: 1e400"),
  "token with a fractional exp": tokenFault("a fractional exp"),
  "token with a far-off exp": tokenFault("a far-off exp"),
  "token with b64: false without crit": tokenFault("b64: false without crit"),
  "token with an embedded jwk": tokenFault("an embedded jwk"),
  "token with a jku": tokenFault("a jku"),
  "token with an x5u": tokenFault("an x5u"),
  "token with == padding": tokenFault("== padding"),
  "token with a newline in its signature": tokenFault("a newline in the signature"),
  "token with trailing bits of base64": tokenFault("trailing bits of base64"),
  "token with a kid of 1 MB": tokenFault("a kid of 1 MB"),
  "token for several audiences": tokenFault("several audiences"),
  "token without exp": tokenFault("no exp"),
  "token of another certificate": [
    [TOKEN, "another certificate"],
    [
      SESSIONS,
      "a token of another certificate, or an expired one, adds no grants, and its session continues",
    ],
    [NODE, "a token is of use to whom it was issued alone, until it is banned"],
  ],
  "gateway A renewing gateway B's agent": [
    [ACCESS, "a gateway renews its own record and the agents attached to it, and no others"],
  ],
  "agent writing another's record": [
    [ACCESS, "registerMany refuses what is another's, item by item"],
    [ACCESS, "record: only its owner reports, deregisters or takes it over"],
  ],
  "gateway registering in another region": [
    [SESSIONS, "a gateway of one region does not register in another"],
  ],
  "a proxy registering": [[ACCESS, "a proxy's register is refused before it is looked into"]],
  "a banned peer with an open session": [
    [SESSIONS, "a ban ends an open session at once"],
    [SESSIONS, "a ban of a token ends the sessions that use it, and no others"],
    [SOCKETS, "a ban ends sessions of all transports within a second"],
    [NODE, "a ban by subject, by lineage or of a token ends its open sessions within a second"],
  ],
  "a banned subject that joins or renews": [
    [NODE, "a banned identity gets no certificate, by a join token or by its previous one"],
  ],
  "renewal request played again": [
    [NODE, "a renewal whose reply was lost is answered again, until its certificate was used"],
  ],
  "refusals that are to fill the audit log": [
    [NODE, "refused identities are counted and occasionally logged, and do not fill the audit log"],
  ],
  "junk certificates in a chain": [
    [PATH, "validatePath refuses junk in a chain at any position"],
    [
      HANDSHAKE,
      "junk in a chain is a refusal: too many, empty, too large, or no certificate at all",
    ],
    [TLS, "tls: junk in a server's chain is survived by the client"],
  ],
  "10,000 half-open handshakes": [
    [RUN, "HalfOpenHandshakes bounds 10,000 that never go on, and others are served"],
    [NODE, "2,000 that begin a handshake and stop keep nobody out"],
  ],
  "a member node that sends junk, others' replicas, or the last term": [[
    HOSTILE,
    "junk, others' replicas, unknown groups and the last term are refused and counted",
  ]],
  "a member node whose numbers are impossible": [[
    HOSTILE,
    "numbers that are impossible in any field of a message change nothing",
  ]],
  "a member node that claims to lead": [[
    HOSTILE,
    "a member that claims to lead, in this term or the next, is believed for a moment at most",
  ]],
  "a member node whose images lie": [[
    HOSTILE,
    "images that lie about length and group are refused, and cost no memory",
  ]],
  "a member node that describes another, or takes others' domains": [[
    HOSTILE,
    "operations for another node are refused, and no step takes a domain from its agent",
  ]],
  "a member node that floods with streams": [[
    HOSTILE,
    "a flood of request streams is cut at its limit",
  ]],
  "a banned member node with open sessions": [
    [
      "unit/replication/peers/peer_hello.test.ts",
      "a banned node loses its session at once, and is not taken back",
    ],
    [
      "cluster/certified_cluster.test.ts",
      "a ban of a node's identity ends its sessions on all nodes at once, and keeps it out",
    ],
  ],
  "a node that is no member": [[
    HOSTILE,
    "port for nodes: only members are heard, and a member waits to be dialed",
  ]],
  "a member node of another cluster": [[
    HOSTILE,
    "node after all attacks: its memory is bounded, and a hello of another cluster ends the link",
  ]],
  "a stolen front": [
    [
      FRONTS,
      "a stolen front cannot administer by the certificate of a controller, nor mint a token for it",
    ],
    [FRONTS, "a banned front ends with all its delegations"],
    [DELEGATIONS, "all delegations end with the session of their front, also when it is banned"],
    [DELEGATIONS, "a front itself inspects and opens delegations, and does nothing else"],
  ],
  "a front that claims another's certificate": [
    [
      FRONTS,
      "a front that claims another's certificate: the chain must be valid, and of a role that calls through fronts",
    ],
    [FRONTS, "a token is of use with the certificate to which it is bound alone"],
  ],
  "a banned subject behind a front": [[
    FRONTS,
    "a ban of a subject or its lineage ends its delegations within a second, and keeps it out",
  ]],
  "an expired delegation": [[
    FRONTS,
    "an expired delegation is opened again with evidence that is valid still, and not otherwise",
  ]],
  "a delegation used after its token's ban": [
    [FRONTS, "a ban of a token ends the delegation opened with it"],
  ],
  "a delegation of another session, or none": [
    [DELEGATIONS, "an id of another session names nothing, or the own delegation of that number"],
    [DELEGATIONS, "a request that names no open delegation is refused, whatever it asks"],
  ],
  "more delegations than the bound": [[
    DELEGATIONS,
    "a session has a bounded number of delegations, and a closed one makes room",
  ]],
  "a forged, expired or foreign capability": [
    [FRONTS, "forged, expired and foreign capabilities open nothing"],
    [CAPABILITY, "verifyCapability refuses by key, signature, time and ban, in this order"],
  ],
  "a capability without one of its caveats": [
    [CAPABILITY, "no caveat can be taken away, exchanged or replaced, whichever it is"],
  ],
  "a capability beyond its caveats": [
    [FRONTS, "a capability has the rights of its scopes, and no others"],
    [FRONTS, "caveats narrow a capability to operations, to ids and to requests"],
    [CAPABILITY, "isWithin compares decoded segments, and matches no path that has two readings"],
  ],
  "a banned capability": [
    [FRONTS, "a ban of a capability ends its delegations within a second, and keeps it out"],
  ],
  "break-glass request played again": [
    [
      "unit/serving/identities/break_glass.test.ts",
      "a request that is played again gets nothing new, and soon nothing at all",
    ],
  ],
};

const sources = new Map<string, string>();

async function sourceOf(file: string): Promise<string> {
  const known = sources.get(file);
  if (known !== undefined) return known;
  const text = await Deno.readTextFile(new URL(`../${file}`, import.meta.url));
  sources.set(file, text);
  return text;
}

for (const [attack, tests] of Object.entries(SUITE)) {
  test(`${attack}: is carried out by tests that are there`, async () => {
    assert.ok(tests.length > 0);
    for (const [file, name] of tests) {
      const text = await sourceOf(file);
      const literal = JSON.stringify(name);
      // A separate test, or a row of a table whose first cell is its name.
      const found = [
        `test(${literal}`,
        `test(\n  ${literal}`,
        `[${literal},`,
        `[\n    ${literal},`,
      ];
      assert.ok(found.some((form) => text.includes(form)), `${file} has no ${literal}`);
    }
  });
}

test.run();
