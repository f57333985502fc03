/** Runs every command of docs/governance.md as written, in order, at a real node. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { codeBlocks, commandOf, fillPlaceholders } from "../support/markdown_blocks.ts";
import { crsInProcess } from "../support/crs_in_process.ts";
import { startCrs } from "../support/crs_process.ts";
import { until } from "../support/until.ts";

const root = decodeURIComponent(new URL("../../", import.meta.url).pathname);
const page = await Deno.readTextFile(`${root}docs/governance.md`);
/** Values of placeholders: the newest match in any output. */
const OUTPUTS: readonly (readonly [RegExp, readonly string[]])[] = [
  ...[..."abcde"].map((id) =>
    [new RegExp(`^(${id}=([\\w+/=]+))$`, "m"), [`${id}=key`, `${id} key`]] as const
  ),
  [/^(sha256:[0-9a-f]{64})$/m, ["genesis"]],
  [/^Proposed .*: proposal (\d+),/m, ["proposal"]],
];

test("docs/governance.md: each command does what the page says", async () => {
  const folder = await Deno.makeTempDir({ prefix: "crs-governance-" });
  const { process } = await startCrs(`${folder}/data`, { flags: ["--partitions", "8"] });
  const values = new Map<string, string>();
  const crs = (args: readonly string[]) =>
    crsInProcess(args, { env: { CRS_DATA: `${folder}/data` } });
  try {
    await until(
      "the plane is placed",
      async () => (await crs(["governance", "status"])).code === 0,
    );
    let commands = 0;
    for (const { language, lines } of codeBlocks(page)) {
      if (language !== "sh") continue;
      for (const line of lines) {
        const command = fillPlaceholders(commandOf(line), values)
          .replaceAll(/ keys\b/g, ` ${folder}/keys`)
          .replaceAll(" examples/", ` ${root}examples/`);
        if (command.startsWith("mkdir ")) {
          await Deno.mkdir(command.slice("mkdir ".length));
          continue;
        }
        const [program, ...args] = command.split(/ +/);
        assert.is(program, "crs", line);
        const { code, stdout, stderr } = await crs(args);
        assert.is(code, 0, `${line}\n${stdout}${stderr}`);
        commands++;
        for (const [pattern, names] of OUTPUTS) {
          const found = pattern.exec(stdout);
          for (const [at, name] of names.entries()) if (found) values.set(name, found[at + 1]!);
        }
      }
    }
    assert.ok(commands > 40, `${commands} commands`);
    const { stdout } = await crs(["governance", "status", "--json"]);
    const status = JSON.parse(stdout);
    assert.is(status.frozen, false);
    assert.equal(
      status.signers.map(({ signer_id }: { signer_id: string }) => signer_id).sort(),
      ["a", "b", "e"],
    );
    await refusesWhatThePageRules(crs, folder, values);
  } finally {
    process.kill("SIGINT");
    await process.ended();
    await Deno.remove(folder, { recursive: true });
  }
});

/** A key that was removed or revoked signs nothing any more. */
async function refusesWhatThePageRules(
  crs: (args: readonly string[]) => ReturnType<typeof crsInProcess>,
  folder: string,
  values: ReadonlyMap<string, string>,
): Promise<void> {
  const run = async (...args: readonly string[]) => await crs(args);
  const file = `${folder}/keys/late.json`;
  const example = `${root}examples/svc-storage.json`;
  assert.is((await run("descriptor", "draft", "--file", example, "--out", file)).code, 0);
  for (const id of ["c", "d"]) {
    const sig = `${folder}/keys/late-${id}.sig`;
    const key = `${folder}/keys/${id}.key`;
    assert.is(
      (await run("descriptor", "sign", "--file", file, "--key", key, "--out", sig)).code,
      0,
    );
    const { stderr } = await run("descriptor", "propose", "--file", file, "--sig", sig);
    assert.match(stderr, /bad_signature/, id);
  }
  const again = ["governance", "signers", "--add", values.get("d=key")!, "--out", file];
  const { code, stderr } = await crs(again);
  assert.is(code, 0, stderr);
  const { stderr: refused } = await run("descriptor", "propose", "--file", file);
  assert.match(refused, /revoked/, "a revoked key is not listed again");
  const wrong = await run("governance", "signers", "--remove", "nobody", "--out", file);
  assert.match(wrong.stderr, /no signer nobody/);
}

test.run();
