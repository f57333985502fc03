/**
 * Runs every command and every program of README.md as written, in the order of the page.
 *
 * A line of a `sh` block must exit with 0. Exceptions are listed in SPECIAL: a line that serves
 * until it is ended, runs until ^C, needs flags to be short, or is not run here, with the reason.
 * Placeholders such as `<id>` are filled from the output of earlier commands (OUTPUTS), and ports
 * are free ones, set by CRS_* variables; nothing else is changed. A command of `crs` that needs no
 * shell runs in this process, which is faster. A new line needs no entry here if it runs to its end
 * and its placeholders are known.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  type CodeBlock,
  codeBlocks,
  commandOf,
  fillPlaceholders,
} from "../support/markdown_blocks.ts";
import { crsInProcess } from "../support/crs_in_process.ts";
import { CrsProcess } from "../support/crs_process.ts";
import { freePorts } from "../../bench/cluster/ports.ts";
import { freeClusterPorts } from "../support/three_nodes.ts";
import { CURL, GRPCURL, type Requirement, testWith } from "../support/requirement.ts";
import { until, within } from "../support/until.ts";

const ROOT = new URL("../../", import.meta.url);
const root = decodeURIComponent(ROOT.pathname).replace(/\/$/, "");
const COMMAND_MS_MAX = 60_000;
/** A command of `crs` whose words are separated by spaces, and none of them is for the shell. */
const NO_SHELL = /^crs [\w ./:=@+,-]+$/;

/** The way to run a line that does not simply end. */
type Special =
  /** A node; it is ended before the next one starts. */
  | { readonly kind: "serves" }
  /** A cluster, in a folder and on ports of its own; ended before the next node starts. */
  | { readonly kind: "serves three" }
  /** Two regions, in a folder and on ports of their own; ended before the next node starts. */
  | { readonly kind: "serves regions" }
  /** A front, on a port of its own, which is ended before its node. */
  | { readonly kind: "serves front" }
  /** Repeated until it succeeds: it waits for what another region was told. */
  | { readonly kind: "repeated" }
  /** Ended by ^C, once its output matches; must end orderly. */
  | { readonly kind: "until ^C"; readonly ready: RegExp }
  /** An endless answer, left once it matches. */
  | { readonly kind: "until seen"; readonly seen: RegExp }
  /** As written, with more flags that shorten the run. */
  | { readonly kind: "shortened"; readonly flags: string }
  /** A task of deno.json that is not run here. */
  | { readonly kind: "not run"; readonly reason: string };

const SPECIAL: Readonly<Record<string, Special>> = {
  "npx -y deno@2.9.6 task start": { kind: "serves" },
  "npx -y deno@2.9.6 task cluster": { kind: "serves three" },
  "npx -y deno@2.9.6 task regions": { kind: "serves regions" },
  "crs agent resolve r1.example --data regions/us-1": { kind: "repeated" },
  "crs region status --data regions/us-1": { kind: "repeated" },
  "npx -y deno@2.9.6 task test": { kind: "not run", reason: "this is a part of it" },
  "crs gateway keep --file examples/gateway.json": { kind: "until ^C", ready: /Registered/i },
  "crs watch agents --with-state": { kind: "until ^C", ready: /^put +agent /m },
  "crs watch agents --region eu-1 --label tier=gold": { kind: "until ^C", ready: /^Watching/m },
  "crs watch domain a1.example": { kind: "until ^C", ready: /^Watching/m },
  "crs watch ring": { kind: "until ^C", ready: /^ring \d/m },
  "crs watch domain a2.example --with-state": { kind: "until ^C", ready: /^put +agent /m },
  "crs front --http 127.0.0.1:9402": { kind: "serves front" },
  "crs front --grpc 127.0.0.1:50051": { kind: "serves front" },
  "curl -sN 'localhost:9402/v1/watch?kind=agent&state=true'": {
    kind: "until seen",
    seen: /^event: put$/m,
  },
  [
    'grpcurl -plaintext -d \'{"kind":"RECORD_KIND_AGENT","includeState":true}\' localhost:50051 ' +
    "crs.v1.Registry/Watch"
  ]: { kind: "until seen", seen: /"change": \{/ },
  "curl -sN 'localhost:9402/v1/registry/events?after=0'": {
    kind: "until seen",
    seen: /^event: registry\.update$/m,
  },
  "crs demo": { kind: "shortened", flags: "--seconds 1 --gateways 2 --agents 20 --proxies 2" },
  "crs start --authority ./pki/authority --region eu-1 --found": { kind: "serves" },
  "deno task test [pattern]": { kind: "not run", reason: "this is a part of it" },
  "deno task test --all": { kind: "not run", reason: "this is a part of it" },
  "deno task ok": { kind: "not run", reason: ".ci/run runs it" },
  "deno task generate": { kind: "not run", reason: "task ok checks what it writes" },
  "deno task compare <folder>": { kind: "not run", reason: "it takes minutes, and two checkouts" },
  "deno task bench": { kind: "not run", reason: "it takes many minutes" },
  "deno task coverage": { kind: "not run", reason: ".ci/run runs it" },
  "deno task gate": { kind: "not run", reason: ".ci/run runs it" },
  "deno task soak --minutes 10": { kind: "not run", reason: "it takes ten minutes" },
};

/** Sources of the values of placeholders: the newest match in any output. */
const OUTPUTS: readonly (readonly [RegExp, readonly string[]])[] = [
  [/^Registered gateway (\S+)$/m, ["id"]],
  [/^Registered agent (\S+)$/m, ["agent id"]],
  [/^\{"kind":"agent","id":"([^"]+)","incarnation"/m, ["agent id"]],
  [/^ {2}node-3 +3 +(\d+) /m, ["process id"]],
  [/^ {2}eu-1 +(\d+) /m, ["eu-1 process id"]],
  [
    /identity issue .*--subject (\S+) --server (\S+) --pin (\S+)/,
    ["subject", "host:port", "pin"],
  ],
  [/^ {2}token +(crs-join-\S+)$/m, ["join token"]],
  [/^(eyJ[\w.-]+)$/m, ["token"]],
  [/^(crs-cap-[\w-]+)$/m, ["capability"]],
  [/^(a=[\w+/=]+)$/m, ["a=key"]],
  [/^(b=[\w+/=]+)$/m, ["b=key"]],
  [/^(c=[\w+/=]+)$/m, ["c=key"]],
  [/^(sha256:[0-9a-f]{64})$/m, ["genesis"]],
  [/^Proposed .*: proposal (\d+),/m, ["proposal"]],
];

/** The file names of the page's programs, in order. */
const PROGRAMS = ["main.ts", "near.ts", "watch.ts", "kept.ts"];

const folder = await Deno.realPath(await Deno.makeTempDir({ prefix: "crs-readme-" }));
/** The data folder of the node: that of the folder in which the page's commands run. */
let data = `${folder}/data`;
const app = `${folder}/app`;
const values = new Map<string, string>();
const used = new Set<string>();
let node: { readonly child: Deno.ChildProcess; readonly pid: number } | undefined;
let cluster: CrsProcess | undefined;
let front: { readonly process: CrsProcess; readonly port: number } | undefined;
let node443: number | undefined;
let programs = 0;
/** Identities are stored beside each other, and not in the checkout. */
let where = root;

const environment = {
  ...Object.fromEntries(
    Object.entries(Deno.env.toObject()).filter(([name]) => !name.startsWith("CRS_")),
  ),
  PATH: `${folder}/bin:${Deno.env.get("PATH")}`,
  NO_COLOR: "1",
  CRS_DATA: data,
  CRS_PORT: "0",
  CRS_OPS_PORT: "0",
  CRS_PEER_PORT: "0",
};

function spawn(command: string, cwd: string, capture: "piped" | "null"): Deno.ChildProcess {
  // `kill` is a builtin of the shell; not every machine has a program of that name.
  const text = command.startsWith("kill ") ? command : `exec ${command}`;
  return new Deno.Command("sh", {
    args: ["-c", text],
    cwd,
    env: environment,
    clearEnv: true,
    stdin: "null",
    stdout: capture,
    stderr: capture,
  }).spawn();
}

/** Runs a command to its end, which must be successful, and takes values from its output. */
async function runToEnd(command: string, cwd: string): Promise<void> {
  const child = spawn(command, cwd, "piped");
  const { code, stdout, stderr } = await within(command, child.output(), COMMAND_MS_MAX);
  const text = new TextDecoder().decode(stdout);
  assert.is(code, 0, `${command}\n${text}${new TextDecoder().decode(stderr)}`);
  takeValues(text);
}

/** Runs a command of `crs` as {@link runToEnd} does, in this process. */
async function crsToEnd(command: string, cwd: string): Promise<void> {
  Deno.chdir(cwd);
  const [, ...args] = command.split(/ +/);
  const { CRS_DATA } = environment;
  const { code, stdout, stderr } = await crsInProcess(args, { env: { CRS_DATA } });
  assert.is(code, 0, `${command}\n${stdout}${stderr}`);
  takeValues(stdout);
}

function takeValues(text: string): void {
  for (const [pattern, names] of OUTPUTS) {
    const found = pattern.exec(text);
    for (const [index, name] of names.entries()) if (found) values.set(name, found[index + 1]!);
  }
}

/** Runs the task's command, with few partitions; later commands find the cluster by its folder. */
async function serveThree(): Promise<void> {
  await endNode();
  environment.CRS_DATA = `${folder}/cluster`;
  await serveTask("cluster", environment.CRS_DATA, freeClusterPorts());
}

/** Runs the task's command, with few partitions; later commands name the folders of the regions. */
async function serveRegions(): Promise<void> {
  await endNode();
  await endCluster();
  await serveTask("regions", `${folder}/regions`, freePorts(6));
}

async function serveTask(task: "cluster" | "regions", place: string, port: number): Promise<void> {
  const { tasks } = JSON.parse(await Deno.readTextFile(`${root}/deno.json`));
  const [, flags] = /main\.ts (.*)$/.exec(tasks[task])!;
  cluster = new CrsProcess([
    ...flags!.split(" "),
    ...["--data", place, "--port", String(port), "--partitions", "16"],
  ]);
  takeValues(
    await cluster.printed("what to try", (text) => text.includes("^C") ? text : undefined),
  );
}

async function serve(command: string): Promise<void> {
  await endNode();
  await endCluster();
  const child = spawn(command, where, "null");
  let ended = false;
  void child.status.then(() => ended = true);
  let facts = { processId: 0, addresses: [{ port: 0 }] };
  await until(`${command} serves`, async () => {
    assert.not(ended, `${command} has ended`);
    const text = await Deno.readTextFile(`${data}/node.json`).catch(() => "");
    if (text !== "") facts = JSON.parse(text);
    return text !== "";
  }, COMMAND_MS_MAX);
  node = { child, pid: facts.processId };
  node443 = facts.addresses[0]!.port;
}

/** Runs a front before the node that runs. */
async function serveFront(command: string): Promise<void> {
  const port = freePorts(1);
  const [, ...args] = command.replace(/:(9402|50051)$/, `:${port}`).split(" ");
  await endFront();
  const process = new CrsProcess([...args, "--data", environment.CRS_DATA]);
  front = { process, port };
  await process.printed("what to try", (text) => text.includes("^C") ? text : undefined);
}

async function endFront(): Promise<void> {
  if (front === undefined) return;
  const { process } = front;
  front = undefined;
  process.kill("SIGINT");
  const { code, stderr } = await process.ended();
  assert.is(code, 0, stderr);
}

/** Ends the node as ^C does; npx does not pass on signals. */
async function endNode(): Promise<void> {
  await endFront();
  if (node === undefined) return;
  const { child, pid } = node;
  node = undefined;
  Deno.kill(pid, "SIGINT");
  await within("the node's end", child.status, COMMAND_MS_MAX);
}

async function endCluster(): Promise<void> {
  await endFront();
  environment.CRS_DATA = data;
  cluster?.kill("SIGINT");
  await cluster?.ended();
  cluster = undefined;
}

async function untilInterrupted(command: string, ready: RegExp): Promise<void> {
  const child = spawn(command, where, "piped");
  let text = "";
  const reading = (async () => {
    for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) text += part;
  })();
  const errors = new Response(child.stderr).text();
  await until(`${command} prints ${ready}`, () => ready.test(text), COMMAND_MS_MAX);
  child.kill("SIGINT");
  const { code } = await within(`the end of ${command}`, child.status, COMMAND_MS_MAX);
  await reading;
  assert.is(code, 0, `${command}\n${text}${await errors}`);
}

/** Runs a command without an end until its output matches. */
async function untilSeen(command: string, seen: RegExp): Promise<void> {
  const child = spawn(command, where, "piped");
  let text = "";
  const reading = (async () => {
    for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) text += part;
  })();
  const errors = new Response(child.stderr).text();
  await until(`${command} prints ${seen}`, () => seen.test(text), COMMAND_MS_MAX);
  child.kill("SIGINT");
  await within(`the end of ${command}`, child.status, COMMAND_MS_MAX);
  await Promise.all([reading, errors]);
}

/** Runs a request, which must not be answered with an error. */
async function curlToEnd(command: string): Promise<void> {
  const { stdout } = await new Deno.Command("sh", {
    args: ["-c", `exec ${command}`],
    cwd: where,
    stdin: "null",
  }).output();
  const text = new TextDecoder().decode(stdout);
  assert.ok(text !== "" && !text.startsWith('{"error"'), `${command}\n${text}`);
  takeValues(text);
}

/** Runs a line of a `sh` block. */
async function runLine(line: string): Promise<void> {
  const written = commandOf(line);
  if (written === "") return;
  const special = SPECIAL[written];
  used.add(written);
  if (/^npm |^npx .* run /.test(written)) return await runToEnd(written, app);
  const filled = special?.kind === "not run" ? written : fillPlaceholders(written, values);
  const command = filled.replace("--data regions/", `--data ${folder}/regions/`)
    .replaceAll(/ (keys|backups)\b/g, ` ${folder}/$1`)
    .replace(/localhost:(9402|50051)/, `localhost:${front?.port}`);
  switch (special?.kind) {
    case undefined:
      if (command.startsWith("curl ")) return await curlToEnd(command);
      return await (NO_SHELL.test(command) ? crsToEnd : runToEnd)(command, where);
    case "serves":
      return await serve(command);
    case "serves three":
      return await serveThree();
    case "serves regions":
      return await serveRegions();
    case "serves front":
      return await serveFront(command);
    case "until seen":
      return await untilSeen(command, special.seen);
    case "repeated":
      return await until(`${command} succeeds`, async () => {
        const attempt = crsToEnd(command, where);
        return await attempt.then(() => true, () => false);
      }, COMMAND_MS_MAX);
    case "until ^C":
      return await untilInterrupted(command, special.ready);
    case "shortened":
      return await runToEnd(`${command} ${special.flags}`, where);
    case "not run": {
      const { tasks } = JSON.parse(await Deno.readTextFile(`${root}/deno.json`));
      const [, task = ""] = / task (\w+)/.exec(written) ?? [];
      assert.ok(task in tasks, `deno.json has no task ${task}, which "${written}" names`);
    }
  }
}

/**
 * Writes a program of the page; only the port and the data folder are replaced by those of this
 * run.
 */
async function writeProgram({ lines }: CodeBlock): Promise<void> {
  const name = PROGRAMS[programs++];
  assert.ok(name, "README.md has more programs than PROGRAMS has names");
  const text = lines.join("\n")
    .replaceAll("port: 4443", `port: ${node443}`)
    .replaceAll("../registry/data", data);
  await Deno.writeTextFile(`${app}/${name}`, `${text}\n`);
  // The lines that follow run the first program, in the same folder as the second one. Later
  // programs are stored beside the identities.
  if (programs === 1) return;
  const beside = where === root ? app : where;
  if (beside !== app) {
    await Deno.rename(`${app}/${name}`, `${beside}/${name}`);
    await runToEnd("npm install ../registry", beside);
  }
  await runToEnd(`npx -y deno@2.9.6 run -A --unstable-net ${name}`, beside);
}

/** Returns the client that a line needs, which not every machine has. */
function requirementOf(line: string): Requirement<string> | undefined {
  return line.startsWith("curl ") ? CURL : line.startsWith("grpcurl ") ? GRPCURL : undefined;
}

test.before(async () => {
  for (const name of ["bin", "app", "identities"]) await Deno.mkdir(`${folder}/${name}`);
  await Deno.symlink(root, `${folder}/registry`);
  // The command behind `deno task crs`, for any folder.
  const { tasks } = JSON.parse(await Deno.readTextFile(`${root}/deno.json`));
  const task = tasks.crs.replace(/^deno /, `"${Deno.execPath()}" `).replace("src/", `${root}/src/`);
  await Deno.writeTextFile(`${folder}/bin/crs`, `#!/bin/sh\nexec ${task} "$@"\n`, { mode: 0o755 });
});

test.after(async () => {
  await endNode();
  await endCluster();
  await Deno.remove(folder, { recursive: true });
});

for (const block of codeBlocks(await Deno.readTextFile(`${root}/README.md`))) {
  const { language, lines, firstLine } = block;
  if (language === "") continue;
  if (language === "ts") {
    test(`README.md:${firstLine} is a program that runs`, () => writeProgram(block));
    continue;
  }
  for (const [index, line] of lines.entries()) {
    const needed = requirementOf(line);
    const register = needed === undefined ? test : testWith(needed);
    register(`README.md:${firstLine + index} ${line}`, async () => {
      assert.is(language, "sh", `A block of ${language} is neither run nor checked here`);
      if (line.startsWith("crs identity init")) {
        where = `${folder}/identities`;
        data = `${where}/data`;
      }
      try {
        await runLine(line);
      } catch (error) {
        const help = "If the line is right, tests/cluster/readme.test.ts needs to know more: " +
          "SPECIAL for a command that does not just end with 0, OUTPUTS for a placeholder";
        throw new Error(`${(error as Error).message}\n\n${help}`, { cause: error });
      }
    });
  }
}

test("each special line still stands in README.md", () => {
  const isMissing = (line: string) =>
    requirementOf(line) !== undefined && requirementOf(line)!.found === undefined;
  const isRun = (line: string) => used.has(line) || isMissing(line);
  assert.equal(Object.keys(SPECIAL).filter((line) => !isRun(line)), []);
  assert.is(programs, PROGRAMS.length);
});

test.run();
