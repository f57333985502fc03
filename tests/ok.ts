/**
 * `deno task ok`: everything that must hold before a change is complete: format, lint, types of all
 * files, up-to-date generated code and pages, examples in the documentation, tests (layering is one).
 *
 * Checks run two at a time and report when they end; failures are printed in full at the end, and
 * the exit code is 1. Tests come last, and alone. `--no-tests` omits them, for a caller that runs
 * them itself, as `.ci/run` does. With `--no-skips` a check that cannot be made here fails.
 */

/** A command that must succeed. */
interface Check {
  readonly name: string;
  /** Arguments for deno. */
  readonly args: readonly string[];
  /** Returns why it cannot be made here; `undefined` if it can. */
  readonly obstacle?: () => Promise<string | undefined>;
}

const CHECKS: readonly Check[] = [
  { name: "types", args: ["check", "--quiet", "."] },
  { name: "format", args: ["fmt", "--check"] },
  { name: "lint", args: ["lint"] },
  {
    name: "generated code",
    args: ["run", "-A", "schemas/generator/main.ts", "--check"],
    obstacle: async () =>
      await hasProgram("capnp")
        ? undefined
        : "the program capnp is missing; Debian's package capnproto brings it",
  },
  {
    name: "generated protos",
    args: ["run", "-A", "schemas/generator/protobuf.ts", "--check"],
    obstacle: npxObstacle,
  },
  {
    name: "generated Go code",
    args: ["run", "-A", "schemas/generator/protobuf.ts", "--go", "--check"],
    obstacle: async () =>
      await hasProgram("go", "version")
        ? await npxObstacle()
        : "the program go is missing; go.dev brings it",
  },
  { name: "generated pages", args: ["run", "-A", "docs/generate.ts", "--check"] },
  {
    name: "examples",
    // Unchecked: Deno adds imports of its own to an example, and unused ones are errors here.
    args: ["test", "-A", "--no-check", "--doc", "mod.ts"],
    obstacle: async () =>
      (await Deno.readTextFile("mod.ts")).includes("```ts") ? undefined : "mod.ts holds no example",
  },
];
const TESTS: Check = { name: "tests", args: ["run", "-A", "tests/run.ts", "--all"] };
const PARALLEL_CHECKS_MAX = 2;

type Verdict = "ok" | "FAIL" | "not checked";

async function npxObstacle(): Promise<string | undefined> {
  return await hasProgram("npx")
    ? undefined
    : "the program npx is missing; Debian's package npm brings it";
}

async function hasProgram(name: string, argument = "--version"): Promise<boolean> {
  try {
    return (await new Deno.Command(name, { args: [argument] }).output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function say(verdict: Verdict, name: string, detail: string): void {
  console.log(`${verdict.padEnd(4)} ${name}  ${detail}`);
}

async function make(
  check: Check,
  failures: Map<string, string>,
  { noSkips }: { readonly noSkips: boolean },
): Promise<void> {
  const startMs = performance.now();
  try {
    const obstacle = await check.obstacle?.();
    if (obstacle !== undefined) {
      if (noSkips) failures.set(check.name, `Cannot be checked: ${obstacle}`);
      return say(noSkips ? "FAIL" : "not checked", check.name, obstacle);
    }
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [...check.args],
      stdin: "null",
      env: { NO_COLOR: "1" },
    }).output();
    if (!success) {
      const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
      failures.set(check.name, text.trim());
    }
  } catch (error) {
    failures.set(check.name, String(error));
  }
  const verdict = failures.has(check.name) ? "FAIL" : "ok";
  say(verdict, check.name, `${Math.round(performance.now() - startMs)} ms`);
}

async function main(args: readonly string[]): Promise<number> {
  for (const argument of args) {
    if (!["--no-tests", "--no-skips"].includes(argument)) {
      throw new RangeError(`Unknown option: ${argument}`);
    }
  }
  const noSkips = args.includes("--no-skips");
  Deno.chdir(new URL("../", import.meta.url));
  const failures = new Map<string, string>();
  const waiting = [...CHECKS];
  const lane = async () => {
    for (let check = waiting.shift(); check !== undefined; check = waiting.shift()) {
      await make(check, failures, { noSkips });
    }
  };
  await Promise.all(Array.from({ length: PARALLEL_CHECKS_MAX }, lane));
  if (!args.includes("--no-tests")) {
    // The test runner's progress goes straight to the terminal.
    const testArgs = [...TESTS.args, ...(noSkips ? ["--no-skips"] : [])];
    const { success } = await new Deno.Command(Deno.execPath(), { args: testArgs }).spawn().status;
    if (!success) failures.set(TESTS.name, "See above.");
  }
  for (const [name, text] of failures) console.log(`\n--- ${name}\n${text}`);
  const failed = [...failures.keys()].join(", ");
  console.log(failures.size === 0 ? "\nAll checks hold." : `\nThese checks failed: ${failed}.`);
  return failures.size === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
