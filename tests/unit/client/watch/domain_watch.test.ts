/** The watch of a domain: its alias and the agent that it names, joined by the claim. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { agentCodec, aliasCodec } from "../../../../schemas/gen/record.ts";
import { formatUuid } from "../../../../src/base/uuid.ts";
import type { Watch } from "../../../../src/client/mod.ts";
import { domainBytes, KIND_AGENT, KIND_ALIAS } from "../../../../src/record/key.ts";
import { WATCH_EVENT_TYPES } from "../../../../schemas/gen/wire.ts";
import { storedAgentBytes } from "../fake_registry.ts";
import { WatchModel } from "./watch_model.ts";

const { put, superseded, deregistered, expired, domainLost } = WATCH_EVENT_TYPES;

/** A domain whose alias is in partition 1, and agents in partitions 2 and 3. */
class DomainModel extends WatchModel {
  readonly domain = this.cluster.domainIn(1);
  readonly agents = [this.newId(2), this.newId(3)] as const;
  /** Agents as a get returns them, by their ids. */
  readonly #stored = new Map<string, Uint8Array>();

  constructor() {
    super();
    for (const node of this.cluster.nodes) {
      const others = node.answer;
      node.answer = (request) => {
        if (request.name !== "getAgent") return others(request);
        const record = this.#stored.get(String(request.body.id));
        if (record === undefined) request.refuse("not_found");
        else request.reply("getAgent", { record, remainingMs: 1 });
        return true;
      };
    }
  }

  /** Appends a change of the alias. */
  alias(agent: 0 | 1, claim: number, type: number = put): void {
    const record = aliasCodec.encode({
      agentId: this.agents[agent],
      claim: { generation: 1, index: claim },
      state: 1,
      domain: this.domain,
    });
    this.appendRecord(1, { kind: KIND_ALIAS, id: domainBytes(this.domain), record, type });
  }

  /** Appends a change of an agent. */
  agent(agent: 0 | 1, claim: number, port: number, type: number = put): void {
    const id = this.agents[agent];
    const plain = agentCodec.decode(storedAgentBytes({ id: formatUuid(id), port }));
    const record = agentCodec.encode({ ...plain, claim: { generation: 1, index: claim } });
    if (type <= superseded) this.#stored.set(String(id), record);
    else this.#stored.delete(String(id));
    this.appendRecord(2 + agent, { kind: KIND_AGENT, id, record, type });
  }
}

/** Reads a watch, and returns what it was told, as type and port. */
function reader(watch: Watch): { readonly told: string[]; readonly tokens: string[] } {
  const told: string[] = [];
  const tokens: string[] = [];
  const read = async () => {
    for await (const event of watch) {
      if (event.type === "progress") continue;
      const state = "record" in event && event.isState ? " state" : "";
      told.push("record" in event ? `${event.type} ${event.record.port}${state}` : event.type);
      tokens.push(event.token);
    }
  };
  // It ends with the client.
  read().catch(({ code }) => assert.is(code, "shutting_down"));
  return { told, tokens };
}

/** Changes of the domain, and the events of its watch for each. */
const STORY: readonly (readonly [(model: DomainModel) => void, readonly string[]])[] = [
  // It is claimed, then its agent comes with the claim.
  [(model) => model.alias(0, 5), []],
  [(model) => model.agent(0, 5, 80), ["put 80"]],
  [(model) => model.alias(0, 5), []],
  [(model) => model.agent(0, 5, 81), ["put 81"]],
  [(model) => model.agent(0, 5, 82, superseded), ["superseded 82"]],
  // The agent expires, and comes back under another claim; the alias follows.
  [(model) => model.agent(0, 5, 82, expired), ["expired 82"]],
  [(model) => model.agent(0, 9, 83), []],
  [(model) => model.alias(0, 9), ["put 83"]],
  // It gives the domain up: the alias goes later.
  [(model) => model.agent(0, 0, 84), ["domain_lost 83"]],
  [(model) => model.alias(0, 9, domainLost), []],
  // Another agent takes the domain, and is removed.
  [(model) => model.agent(1, 12, 90), []],
  [(model) => model.alias(1, 12), ["put 90"]],
  [(model) => model.agent(0, 0, 85), []],
  [(model) => model.agent(1, 12, 90, deregistered), ["deregistered 90"]],
  [(model) => model.alias(0, 14, superseded), []],
  [(model) => model.agent(0, 14, 86), ["put 86"]],
  // The alias goes while the agent still holds its claim.
  [(model) => model.alias(0, 14, domainLost), ["domain_lost 86"]],
];

test("watch of a domain tells when it resolves, every change of its agent, and when it no longer does", async () => {
  const model = new DomainModel();
  const { seed } = model.cluster;
  const client = await model.cluster.connect();
  const { told } = reader(client.watch({ domain: model.domain.toUpperCase() }));
  await seed.settle();
  const wanted: string[] = [];
  for (const [at, [happens, tells]] of STORY.entries()) {
    happens(model);
    await seed.pass(300);
    wanted.push(...tells);
    assert.equal(told, wanted, `step ${at}`);
  }
  model.stop();
  await seed.wait(client.close());
});

test("watch of a domain resumes behind each of its tokens, at every later point", async () => {
  for (let stop = 0; stop < STORY.length; stop++) {
    const model = new DomainModel();
    const { seed } = model.cluster;
    const client = await model.cluster.connect();
    const first = reader(client.watch({ domain: model.domain }, { state: true }));
    await seed.pass(300);
    for (const [happens] of STORY.slice(0, stop)) {
      happens(model);
      await seed.pass(300);
    }
    const all = STORY.flatMap(([, tells]) => tells);
    const known = first.told.length - 1;
    assert.equal(first.told, ["complete", ...all.slice(0, known)]);
    // What happens while nobody watches is told when it resumes, and then what happens later.
    const middle = stop + Math.ceil((STORY.length - stop) / 2);
    for (const [happens] of STORY.slice(stop, middle)) happens(model);
    const resumed = reader(client.watch({ domain: model.domain }, { from: first.tokens.at(-1)! }));
    await seed.pass(300);
    for (const [happens] of STORY.slice(middle)) {
      happens(model);
      await seed.pass(300);
    }
    const rest = resumed.told.filter((text) => !text.startsWith("complete"));
    assert.equal(collapsed(rest), collapsed(all.slice(known)), `behind step ${stop}`);
    model.stop();
    await seed.wait(client.close());
  }
});

/**
 * Returns what must be the same whatever the order in which the changes of two partitions arrive: the
 * last thing told. (A domain may have passed through states that nobody saw.)
 */
function collapsed(told: readonly string[]): string | undefined {
  return told.at(-1);
}

test("watch of a domain begins with its state if asked for, and without it otherwise", async () => {
  for (const state of [true, false]) {
    const model = new DomainModel();
    const { seed } = model.cluster;
    const client = await model.cluster.connect();
    model.alias(0, 5);
    model.agent(0, 5, 80);
    const { told } = reader(client.watch({ domain: model.domain }, { state }));
    await seed.pass(300);
    assert.equal(told, state ? ["put 80 state", "complete"] : []);
    model.agent(0, 5, 81);
    await seed.pass(300);
    assert.is(told.at(-1), "put 81");
    model.stop();
    await seed.wait(client.close());
  }
});

test("watch of a domain tells a reset, and what holds the domain after it", async () => {
  const model = new DomainModel();
  const { seed } = model.cluster;
  const client = await model.cluster.connect();
  const watch = client.watch({ domain: model.domain });
  const first = reader(watch);
  await seed.settle();
  model.alias(0, 5);
  model.agent(0, 5, 80);
  await seed.pass(300);
  const token = first.tokens.at(-1)!;
  watch.close();
  model.agent(0, 5, 81);
  model.agent(0, 5, 82);
  model.forget(2);
  const { told } = reader(client.watch({ domain: model.domain }, { from: token }));
  await seed.pass(300);
  assert.equal(told, ["reset", "put 82 state", "complete"]);
  model.stop();
  await seed.wait(client.close());
});

test("watch of a domain outlives an outage in which its agent changes", async () => {
  const model = new DomainModel();
  const { seed } = model.cluster;
  const client = await model.cluster.connect();
  const { told } = reader(client.watch({ domain: model.domain }));
  await seed.settle();
  model.alias(0, 5);
  model.agent(0, 5, 80);
  await seed.pass(300);
  // Nobody has the next agent's partition for longer than a watch may take to begin.
  for (const node of model.nodes) node.gone.add(3);
  model.agent(0, 5, 80, deregistered);
  model.alias(1, 6, superseded);
  model.agent(1, 6, 90);
  await seed.pass(20_000);
  assert.equal(told, ["put 80", "deregistered 80"]);
  for (const node of model.nodes) node.gone.clear();
  await seed.pass(5_000);
  assert.equal(told.slice(2), ["put 90"]);
  model.stop();
  await seed.wait(client.close());
});

test("watch of a domain refuses other conditions, and tokens of other watches", async () => {
  const model = new DomainModel();
  const client = await model.cluster.connect();
  const { domain } = model;
  assert.throws(() => client.watch({ domain, region: "eu-1" }), /together with domain/);
  assert.throws(() => client.watch({ domain }, { from: "AAAA" }), /token of a watch of a domain/);
  assert.throws(() => client.watch({ domain: "-" }), /domain/);
  await model.cluster.seed.wait(client.close());
});

test.run();
