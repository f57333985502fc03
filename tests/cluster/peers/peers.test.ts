/**
 * A group replicated by three nodes over QUIC on loopback, through the links between nodes. The
 * third node is a separate process, leads, and is killed: the other two continue.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { defined } from "../../../src/base/assert.ts";
import { until, within } from "../../support/until.ts";
import { QuicNode, type StatedMember } from "./quic_node.ts";
import { DENO_RUN } from "../../support/deno_run.ts";

/** The node process. */
class Third {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: ReadableStreamDefaultReader<string>;
  #rest = "";

  constructor(folder: string) {
    const script = new URL("./node_process.ts", import.meta.url).pathname;
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [...DENO_RUN, script, "3", folder],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#lines = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  async ask(command: unknown): Promise<unknown> {
    await this.#input.write(new TextEncoder().encode(`${JSON.stringify(command)}\n`));
    return await this.line();
  }

  async line(): Promise<unknown> {
    while (!this.#rest.includes("\n")) {
      const { value, done } = await this.#lines.read();
      if (done) throw new Error("The node process ended");
      this.#rest += value;
    }
    const end = this.#rest.indexOf("\n");
    const line = this.#rest.slice(0, end);
    this.#rest = this.#rest.slice(end + 1);
    return JSON.parse(line);
  }

  async kill(): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended already, as intended.
    }
    await this.#child.status;
    // The pipe broke when its reader was killed.
    await this.#input.close().catch(() => {});
    await this.#lines.cancel();
  }
}

test("three nodes replicate a group over QUIC; when the leader is killed the other two go on", async () => {
  const folder = await Deno.makeTempDir();
  const third = new Third(folder);
  const nodes: QuicNode[] = [];
  try {
    nodes.push(...await Promise.all([1, 2].map((id) => QuicNode.open(id, folder))));
    const stated = await within("the third node", third.line(), 30_000) as StatedMember;
    const members = [...nodes.map((node) => node.stated), stated];
    await Promise.all([third.ask({ start: members }), ...nodes.map((node) => node.start(members))]);
    const areConnected = () =>
      nodes.every((node) => node.peers.status().every(({ isConnected }) => isConnected));
    await until("all sessions", areConnected, 15_000);

    const first = await within("the first entry", third.ask({ propose: "one" }), 30_000);
    assert.is((first as { ok: boolean }).ok, true, JSON.stringify(first));
    const haveAll = (...texts: string[]) => () =>
      nodes.every(({ applied }) => texts.every((text) => applied.includes(text)));
    await until("its replication", haveAll("one"), 15_000);

    await third.kill();
    const leader = () => nodes.find((node) => node.isLeading);
    await until("another leader", () => leader() !== undefined, 30_000);
    let second;
    do second = await defined(leader() ?? nodes[0], "There are nodes").propose("two"); while (
      !second.ok && ["not_leader", "connection_lost"].includes(second.error.code)
    );
    assert.ok(second.ok, JSON.stringify(second));
    await until("its replication", haveAll("one", "two"), 15_000);

    await until(
      "the end of its sessions",
      () => nodes.every((node) => node.peers.status().at(-1)?.isConnected === false),
      15_000,
    );
    const [one] = nodes;
    const status = one!.peers.status().find(({ node }) => Number(node) === 2)!;
    assert.ok(status.counts.framesIn > 0 && status.counts.framesOut > 0);
    assert.is(status.counts.sessions, 1);
    assert.ok(defined(status.roundTripMs, "It was measured") >= 0);
    // A slow machine may make a follower campaign while its leader is alive, which the others refuse.
    for (const { refusals } of nodes) {
      assert.equal([...refusals.keys()].filter((code) => code !== "leader_alive"), []);
    }
  } finally {
    await third.kill();
    await Promise.all(nodes.map((node) => node.close()));
    await Deno.remove(folder, { recursive: true });
  }
});

test.run();
