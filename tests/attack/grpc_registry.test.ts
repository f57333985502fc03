/**
 * Attacks on `crs.v1.Registry` by raw HTTP/2, at a front beside its node. After each the front answers
 * others, is the same process with bounded memory, and the node has no watch left.
 */
import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Registry } from "../../schemas/proto/gen/crs/v1/registry_pb.ts";
import { concatBytes } from "../../src/base/bytes.ts";
import { framed } from "../../src/grpc/messages.ts";
import { done, type GrpcNode, withGrpcNode } from "../support/grpc_nodes.ts";
import {
  callHeaders,
  END_HEADERS,
  END_STREAM,
  FRAME,
  frame,
  headerBlock,
  PREFACE,
} from "../support/raw_http2.ts";
import { inTemporaryFolder } from "../support/temporary_folder.ts";
import { until, within } from "../support/until.ts";

const { watch, listAgents, getNodeStatus } = Registry.method;
/** A front that was attacked has about 150 MB; a leak of each attack's input would show. */
const RESIDENT_MB_MAX = 400;
const AGENTS = 3;
const RESET = Uint8Array.of(0, 0, 0, 8);

/** A front under attack. */
class Target {
  readonly #node: GrpcNode;
  readonly #front: number;

  constructor(node: GrpcNode) {
    this.#node = node;
    const { pid } = node.process.child;
    const children = Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`);
    this.#front = Number(children.trim().split(" ")[0]);
  }

  connect(): Promise<Deno.TcpConn> {
    const [hostname, port] = this.#node.address.split(":");
    return Deno.connect({ hostname: hostname!, port: Number(port) });
  }

  /** The number of watches of the node. */
  async watches(): Promise<number> {
    const { host, port } = this.#node.node.ops;
    const text = await (await fetch(`http://${host}:${port}/metrics`)).text();
    return Number(/^crs_watches (\d+)$/m.exec(text)![1]);
  }

  /** Asserts that another caller is answered, by the process that was attacked. */
  async serves(): Promise<void> {
    const conn = await this.connect();
    try {
      await send(conn, PREFACE, call(1, getNodeStatus, {}));
      const answer = async () => {
        const buffer = new Uint8Array(4_096);
        let text = "";
        while (!text.includes("global")) {
          const count = await conn.read(buffer);
          if (count === null) throw new Error("The connection ended");
          text += new TextDecoder("latin1").decode(buffer.subarray(0, count));
        }
      };
      await within("an answer", answer(), 20_000);
    } finally {
      close(conn);
    }
    const status = Deno.readTextFileSync(`/proc/${this.#front}/status`);
    const residentMb = Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1_024;
    assert.ok(residentMb < RESIDENT_MB_MAX, `the front has ${residentMb} MB`);
  }
}

/** Returns the frames of a complete call. */
function call<I extends DescMessage>(
  stream: number,
  { name, input }: { readonly name: string; readonly input: I },
  request: MessageInitShape<I>,
): Uint8Array {
  const headers = headerBlock(callHeaders(`/${Registry.typeName}/${name}`));
  const message = framed(toBinary(input, create(input, request)));
  return concatBytes([
    frame(FRAME.headers, headers, { flags: END_HEADERS, stream }),
    frame(FRAME.data, message, { flags: END_STREAM, stream }),
  ]);
}

/** Writes all of some bytes; the other end may hang up meanwhile. */
async function send(conn: Deno.TcpConn, ...parts: readonly Uint8Array[]): Promise<void> {
  const bytes = concatBytes(parts);
  try {
    for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
  } catch {
    // It was dropped, as it deserves.
  }
}

/** Takes what arrives, but gives no window for more. */
function drop(conn: Deno.TcpConn): void {
  void conn.readable.pipeTo(new WritableStream()).catch(() => {});
}

function close(conn: Deno.TcpConn): void {
  try {
    conn.close();
  } catch {
    // It was closed by its reader.
  }
}

const odd = (count: number) => Array.from({ length: count }, (_, index) => 2 * index + 1);

test("crs.v1.Registry outlives watches that nobody reads and calls that are left", () =>
  inTemporaryFolder((folder) =>
    withGrpcNode(folder, [], async (node) => {
      for (let agent = 0; agent < AGENTS; agent++) {
        const record = ["--data", `${folder}/data`, "--domain", `a${agent}.example`];
        await done("agent", "register", ...record);
      }
      const target = new Target(node);
      await target.serves();

      // 1,000 watches of one caller, as many as its connections may have, none of which is read.
      const open: Deno.TcpConn[] = [];
      for (let count = 0; count < 4; count++) {
        const conn = await target.connect();
        drop(conn);
        open.push(conn);
        const calls = odd(250).map((stream) => call(stream, watch, { includeState: true }));
        await send(conn, PREFACE, ...calls);
      }
      await until("the watches are open", async () => await target.watches() === 1_000, 60_000);
      await target.serves();
      for (const conn of open) close(conn);
      await until("they have ended", async () => await target.watches() === 0, 60_000);
      await target.serves();

      // Lists and watches that are left during their first page, again and again.
      for (let round = 0; round < 4; round++) {
        const conn = await target.connect();
        drop(conn);
        const calls = odd(200).flatMap((stream) => [
          stream % 4 === 1
            ? call(stream, listAgents, { pageSize: 1 })
            : call(stream, watch, { includeState: true }),
          frame(FRAME.reset, RESET, { stream }),
        ]);
        await send(conn, PREFACE, ...calls);
        await target.serves();
        close(conn);
      }
      await until("none is left", async () => await target.watches() === 0, 60_000);
      await target.serves();
    })
  ));

test.run();
