/** Nodes whose front serves gRPC, as real processes, and clients that check them. */
import * as assert from "uvu/assert";
import { crsInProcess } from "./crs_in_process.ts";
import { type CrsProcess, startCrs, type StartedNode } from "./crs_process.ts";

/** A node with a front that serves gRPC. */
export interface GrpcNode {
  readonly process: CrsProcess;
  readonly node: StartedNode;
  /** Where the front serves. */
  readonly address: string;
}

/** Runs a test with a node in a folder of its own, and asserts that it ends as it should. */
export async function withGrpcNode(
  folder: string,
  flags: readonly string[],
  run: (node: GrpcNode) => Promise<void>,
): Promise<void> {
  const { process, node } = await startCrs(`${folder}/data`, {
    flags: ["--partitions", "8", "--grpc", "127.0.0.1:0", ...flags],
  });
  try {
    const { grpc, error } = node as StartedNode & { readonly grpc?: { readonly port: number } };
    assert.ok(grpc !== undefined, error?.message);
    await run({ process, node, address: `127.0.0.1:${grpc.port}` });
  } finally {
    process.kill("SIGTERM");
    const { code, stderr } = await process.ended();
    assert.is(code, 0, stderr);
  }
}

/** Asserts that all checks of a client held. */
export async function held(client: string, ...args: string[]): Promise<void> {
  const { success, stdout, stderr } = await new Deno.Command(client, { args, stdin: "null" })
    .output();
  const output = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("");
  assert.ok(success, `${args.join(" ")}:\n${output}`);
}

/** Returns the document of a command that must succeed. */
export async function done(...args: string[]): Promise<Record<string, string>> {
  const { code, stdout, stderr } = await crsInProcess([...args, "--json"]);
  assert.is(code, 0, `crs ${args.join(" ")}: ${stderr}${stdout}`);
  return JSON.parse(stdout);
}
