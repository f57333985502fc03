/** Commands of `crs` in the process of a test, with a terminal and a client that are fakes. */
import { runCli } from "../../src/cli/program.ts";
import { FakeClient } from "./fake_client.ts";
import { FakeTerminal } from "./fake_terminal.ts";

/** The surroundings of a command; by default they are empty. */
export interface CrsSurroundings {
  /** The answers of the client, by call. */
  readonly answers?: Readonly<Record<string, unknown>>;
  readonly files?: Record<string, string>;
  readonly environment?: Record<string, string>;
}

/** Runs a command in region `eu-1`; returns its exit code, its calls and what it printed. */
export async function runCrs(
  line: string,
  { answers = {}, files = {}, environment = {} }: CrsSurroundings = {},
) {
  const terminal = new FakeTerminal({ files, environment });
  const { calls, client } = new FakeClient(answers);
  const code = await runCli(line.split(" "), {
    terminal,
    connect: () =>
      Promise.resolve({
        client,
        endpoints: [],
        timeoutMs: 1_000,
        region: "eu-1",
        close: () => Promise.resolve(),
      }),
  });
  return { code, calls, stdout: terminal.stdout, stderr: terminal.stderr };
}
