/**
 * The front as a process before a real node: requests by curl, an orderly end, a front that is killed
 * and another one that goes on. The lines of the README are run by readme.test.ts.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { crs, CrsProcess, documentIn, startCrs } from "../support/crs_process.ts";
import { EventReader } from "../support/event_reader.ts";
import { CURL, testWith } from "../support/requirement.ts";
import { inTemporaryFolder } from "../support/temporary_folder.ts";

const curlTest = testWith(CURL);
const EXAMPLE = new URL("../../examples/gateway.json", import.meta.url).pathname;

interface StartedFront {
  readonly http: { readonly host: string; readonly port: number };
}

/** A running front and its address. */
interface RunningFront {
  readonly process: CrsProcess;
  readonly url: string;
}

async function startFront(folder: string): Promise<RunningFront> {
  const process = new CrsProcess(["front", "--http", "127.0.0.1:0", "--data", folder, "--json"]);
  const { http } = await process.printed("a document", documentIn<StartedFront>);
  return { process, url: `http://127.0.0.1:${http.port}` };
}

/** Runs curl and returns status and body. */
async function curl(...args: string[]): Promise<{ status: number; text: string }> {
  const { stdout, code, stderr } = await new Deno.Command("curl", {
    args: ["-sS", "--max-time", "20", "-w", "\n%{http_code}", ...args],
  }).output();
  const text = new TextDecoder().decode(stdout);
  assert.is(code, 0, `curl ${args.join(" ")}: ${text}${new TextDecoder().decode(stderr)}`);
  const at = text.lastIndexOf("\n");
  return { status: Number(text.slice(at + 1)), text: text.slice(0, at) };
}

curlTest(
  "crs front serves curl, survives its own kill -9 by another front, and ends in order",
  () =>
    inTemporaryFolder(async (folder) => {
      const node = await startCrs(folder, { flags: ["--partitions", "8"] });
      const processes = [node.process];
      try {
        const first = await startFront(folder);
        const second = await startFront(folder);
        processes.push(first.process, second.process);
        const json = ["-H", "Content-Type: application/json", "-X", "POST"];
        const gateway = await curl(...json, "-d", `@${EXAMPLE}`, `${first.url}/v1/gateways`);
        assert.is(gateway.status, 201, gateway.text);
        const { id } = JSON.parse(gateway.text);

        // A stream of one front, continued at the other.
        const stream = await fetch(`${first.url}/v1/watch?kind=agent`);
        const reader = new EventReader(stream.body!);
        const register = (domain: string, url: string) =>
          curl(...json, "-d", JSON.stringify({ domain, gateway_id: id }), `${url}/v1/agents`);
        assert.is((await register("a1.example", first.url)).status, 201);
        const event = await reader.event();
        assert.is(JSON.parse(event.data!).agent.domain, "a1.example");
        first.process.kill("SIGKILL");
        await first.process.ended();
        await reader.leave().catch(() => {});
        assert.is((await register("a2.example", second.url)).status, 201);
        const rest = await fetch(`${second.url}/v1/watch?kind=agent`, {
          headers: { "last-event-id": event.id! },
        });
        const next = new EventReader(rest.body!);
        assert.is(JSON.parse((await next.event()).data!).agent.domain, "a2.example");

        const resolved = await curl(`${second.url}/v1/resolve?domain=a1.example`);
        assert.equal([resolved.status, JSON.parse(resolved.text).gateway.id], [200, id]);
        const known = await curl(`${second.url}/v1/whoami`);
        const { role, expiresAtMs } = JSON.parse(known.text);
        assert.equal([known.status, role, expiresAtMs], [200, "development", null]);
        const wrong = await curl(...json, "-d", '"text"', `${second.url}/v1/agents`);
        assert.is(wrong.status, 400);
        const rebound = await curl("-H", "Host: evil.example", `${second.url}/v1/agents`);
        assert.is(rebound.status, 403);
        assert.is((await curl("-I", `${second.url}/healthz`)).status, 200);

        // The open stream does not hold up the end.
        second.process.kill("SIGTERM");
        const { code, stderr } = await second.process.ended();
        assert.is(code, 0, stderr);
        await next.leave().catch(() => {});
      } finally {
        for (const process of processes) process.kill("SIGKILL");
        await Promise.all(processes.map((process) => process.ended()));
      }
    }),
);

test("crs front refuses to serve plain HTTP beyond loopback, and a malformed address", () =>
  inTemporaryFolder(async (folder) => {
    const { process } = await startCrs(folder, { flags: ["--partitions", "8"] });
    try {
      const open = await crs(["front", "--http", "0.0.0.0:0", "--data", folder]);
      assert.is(open.code, 2);
      assert.match(open.stderr, /--insecure-http/);
      const malformed = await crs(["front", "--http", "9402", "--data", folder]);
      assert.is(malformed.code, 2);
      assert.match(malformed.stderr, /--http must be host:port/);
    } finally {
      process.kill("SIGKILL");
      await process.ended();
    }
  }));

test.run();
