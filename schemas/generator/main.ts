/**
 * `deno task generate`: compiles schemas/*.capnp and writes schemas/gen/*.ts; with `--check` it
 * writes nothing and exits 1 when something is out of date. Exits 3 when the `capnp` program is
 * missing. A tool: nothing imports it, and it alone in this folder touches the machine.
 */
import { emitFile } from "./emit.ts";
import { readRequest, UnsupportedSchemaError } from "./model.ts";

const EXIT_OUT_OF_DATE = 1;
const EXIT_SCHEMA = 2;
const EXIT_NO_COMPILER = 3;

/** Holds annotations only. */
const ANNOTATIONS_FILE = "codec.capnp";

const root = new URL("../../", import.meta.url);

function schemaFiles(): string[] {
  return [...Deno.readDirSync(new URL("schemas/", root))]
    .map((file) => file.name)
    .filter((name) => name.endsWith(".capnp") && name !== ANNOTATIONS_FILE)
    .sort()
    .map((name) => `schemas/${name}`);
}

function compile(files: readonly string[]): Uint8Array {
  try {
    const { success, stdout, stderr } = new Deno.Command("capnp", {
      args: ["compile", "-o-", ...files],
      cwd: root,
    }).outputSync();
    if (success) return stdout;
    console.error(new TextDecoder().decode(stderr).trim());
    Deno.exit(EXIT_SCHEMA);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    console.error(
      "generate: the program `capnp` is missing; Debian's package `capnproto` brings it",
    );
    Deno.exit(EXIT_NO_COMPILER);
  }
}

function generate(): Map<string, string> {
  try {
    const files = readRequest(compile(schemaFiles()));
    return new Map(files.map((file) => [`${file.name}.ts`, emitFile(file)]));
  } catch (error) {
    if (!(error instanceof UnsupportedSchemaError)) throw error;
    console.error(`generate: ${error.message}`);
    Deno.exit(EXIT_SCHEMA);
  }
}

/** The generated files as they are now. */
function present(folder: URL): Map<string, string> {
  Deno.mkdirSync(folder, { recursive: true });
  const names = [...Deno.readDirSync(folder)].map((file) => file.name);
  return new Map(names.map((name) => [name, Deno.readTextFileSync(new URL(name, folder))]));
}

function main(): void {
  const folder = new URL("schemas/gen/", root);
  const wanted = generate();
  const found = present(folder);
  const stale = [...new Set([...wanted.keys(), ...found.keys()])].sort()
    .filter((name) => wanted.get(name) !== found.get(name));
  if (Deno.args.includes("--check")) {
    for (const name of stale) console.error(`generate: schemas/gen/${name} is out of date`);
    if (stale.length > 0) console.error("generate: run `deno task generate`");
    Deno.exit(stale.length > 0 ? EXIT_OUT_OF_DATE : 0);
  }
  for (const name of stale) {
    const text = wanted.get(name);
    if (text === undefined) Deno.removeSync(new URL(name, folder));
    else Deno.writeTextFileSync(new URL(name, folder), text);
    console.log(`generate: ${text === undefined ? "removed" : "wrote"} schemas/gen/${name}`);
  }
}

main();
