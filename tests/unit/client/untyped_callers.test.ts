/** Calls of programs without types, which may pass anything where text is due. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import type { Client } from "../../../src/client/types.ts";
import { FakeCluster } from "./fake_cluster.ts";
import { FakeRegistry } from "./fake_registry.ts";

const NO_TEXT: readonly unknown[] = [{}, { length: 0 }, [], ["a"], 5, 5n, null];

type Call = (client: Client, bad: never) => Promise<unknown>;

/** Registers an agent with one field that is no text. */
function registering(field: string): Call {
  return (client, bad) => client.registerAgent({ region: "eu", domain: "a.example", [field]: bad });
}

/** The calls by the field that their errors name. */
const CALLS: readonly (readonly [field: string, call: Call])[] = [
  ["domain", (client, bad) => client.resolveAgent(bad)],
  ["domains", async (client, bad) => (await client.resolveAgents([bad]))[0]?.error],
  ["id", (client, bad) => client.getAgent(bad)],
  ["id", (client, bad) => client.deregisterGateway(bad)],
  ["region", (client, bad) => client.listAgents(bad)],
  ["region", (client, bad) => client.resolveGateways(bad)],
  ...["domain", "region", "id", "gatewayId", "address", "credentialHash"].map((field) =>
    [field, registering(field)] as const
  ),
  [
    "labels.rack",
    (client, bad) =>
      client.registerAgent({ region: "eu", domain: "a.example", labels: { rack: bad } }),
  ],
  ["domain", async (client, bad) => {
    const item = { kind: "agent", agent: { region: "eu", domain: bad } } as const;
    return (await client.registerMany([item]))[0]?.error;
  }],
  ["id", (client, bad) => {
    return client.renew([{ kind: "agent", id: bad, incarnation: { generation: 1, index: 1 } }]);
  }],
  ["domain", (client, bad) => client.keepAgent({ region: "eu", domain: bad })],
];

for (const kind of ["a single node", "a cluster"]) {
  test(`calls to ${kind} refuse what is no text, naming the field, before anything is sent`, async () => {
    const cluster = kind === "a cluster" ? new FakeCluster() : undefined;
    const registry = cluster?.seed ?? new FakeRegistry();
    const client = cluster === undefined ? await registry.connect() : await cluster.connect();
    for (const [field, call] of CALLS) {
      for (const bad of NO_TEXT) {
        const outcome = call(client, bad as never).catch((error: unknown) => error);
        const error = await registry.wait(outcome);
        assert.instance(error, RegistryError, `${field}: ${error}`);
        const { code, fields, message } = error as RegistryError;
        assert.equal([code, fields.field], ["invalid_argument", field], message);
        assert.match(message, `${field} must`);
      }
    }
    assert.is(client.status.inFlight, 0);
    assert.equal(registry.requests, []);
    await registry.wait(client.close());
  });
}

test.run();
