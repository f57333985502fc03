/**
 * The project's files on Node: the transports that run there fulfil the shared contract, and a
 * program that uses the SDK works with a node that runs on Deno.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { crsInProcess } from "../support/crs_in_process.ts";
import { type CrsProcess, startCrs } from "../support/crs_process.ts";
import { modernNode } from "../support/modern_node.ts";
import { testWith } from "../support/requirement.ts";

const nodeTest = testWith(await modernNode());
const processes: CrsProcess[] = [];
const folder = await Deno.makeTempDir();

/** Returns the output of a program; its standard error if it fails. */
async function run(node: string, entry: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(node, {
    args: ["--no-warnings", new URL(entry, import.meta.url).pathname, ...args],
    stdin: "null",
  }).output();
  const [out, error] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert.ok(success, `${entry} failed:\n${out}${error}`);
  return out!;
}

/** Returns the document of a command that must succeed. */
async function done(...args: string[]): Promise<Record<string, string>> {
  const { code, stdout, stderr } = await crsInProcess([...args, "--json"]);
  assert.is(code, 0, `crs ${args.join(" ")}: ${stderr}${stdout}`);
  return JSON.parse(stdout);
}

/** Runs a file of tests, of which there must be more than `least`. */
async function runTests(node: string, entry: string, least: number): Promise<void> {
  const output = await run(node, entry);
  const [, total, passed] = /Total: +(\d+)\s+Passed: +(\d+)/.exec(output) ?? [];
  assert.ok(Number(total) > least, output);
  assert.is(passed, total, output);
}

nodeTest("TLS and WebTransport on Node keep the contract of transports", async (node) => {
  await runTests(node, "./node/adapters.ts", 50);
});

nodeTest("the listener of gRPC on Node keeps its limits", async (node) => {
  await runTests(node, "../unit/front/grpc_listener.test.ts", 10);
});

nodeTest(
  "a program on Node registers, resolves and watches at a Deno node over TLS",
  async (node) => {
    const data = `${folder}/data`;
    const administrator = ["--identity", `${folder}/pki/administrator`, "--data", data];
    const init = ["--trust-domain", "registry.example", "--region", "eu-1"];
    await done("identity", "init", ...init, "--out", `${folder}/pki`);
    const authority = ["--authority", `${folder}/pki/authority`, "--region", "eu-1", "--found"];
    const { process } = await startCrs(data, {
      flags: [...authority, "--partitions", "8", "--tls", "on", "--tls-port", "0"],
    });
    processes.push(process);
    await done("identity", "issue", ...administrator);
    const { token, subject } = await done(
      ...["identity", "join-token", "gateway", "--domain", "g.example"],
      ...administrator,
    );
    const gateway = ["--identity", `${folder}/gateway`, "--data", data];
    await done("identity", "issue", "--subject", subject!, "--token", token!, ...gateway);
    const { addresses } = JSON.parse(await Deno.readTextFile(`${data}/node.json`)) as {
      addresses: { transport: string; host: string; port: number }[];
    };
    const { host, port } = addresses.find(({ transport }) => transport === "tls")!;
    const id = subject!.slice(subject!.lastIndexOf("/") + 1);
    const output = await run(
      node,
      "./node/sdk.ts",
      `${folder}/gateway`,
      host,
      `${port}`,
      id,
      "g.example",
    );
    assert.equal(JSON.parse(output), { id, found: [id], watched: id });
  },
);

nodeTest("the HTTP face serves on Node as on Deno", async (node) => {
  assert.equal(JSON.parse(await run(node, "./node/front.ts")), {
    status: 7,
    etag: '"1.2"',
    codes: [200, 201, 413],
    openapi: "3.1.0",
  });
});

test.after(async () => {
  for (const process of processes) process.kill("SIGTERM");
  await Promise.all(processes.map((process) => process.ended()));
  await Deno.remove(folder, { recursive: true });
});

test.run();
