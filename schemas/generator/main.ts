/**
 * `deno task generate`: compiles schemas/*.capnp and writes schemas/gen/*.ts. With `--check` it
 * writes nothing and exits with 1 when a file is out of date. Exits with 3 when the `capnp` program
 * is missing, and with 2 when a schema is invalid or not supported. A tool: no module of the
 * registry imports it.
 */
import { CAPNP_PACKAGE, compileSchemas, schemaFiles } from "./compiler.ts";
import { emitFile } from "./emit.ts";
import { readRequest, UnsupportedSchemaError } from "./model.ts";

const EXIT_OUT_OF_DATE = 1;
const EXIT_SCHEMA = 2;
const EXIT_NO_COMPILER = 3;

const root = new URL("../../", import.meta.url);

function fail(message: string, exitCode: number): never {
  console.error(`generate: ${message}`);
  Deno.exit(exitCode);
}

function generate(): Map<string, string> {
  const compiled = compileSchemas(root, schemaFiles(root));
  if (compiled === undefined) {
    fail(
      `the program capnp is missing; Debian's package ${CAPNP_PACKAGE} brings it`,
      EXIT_NO_COMPILER,
    );
  }
  if (!compiled.success) fail(compiled.stderr, EXIT_SCHEMA);
  try {
    const files = readRequest(compiled.stdout);
    return new Map(files.map((file) => [`${file.name}.ts`, emitFile(file)]));
  } catch (error) {
    if (!(error instanceof UnsupportedSchemaError)) throw error;
    fail(error.message, EXIT_SCHEMA);
  }
}

/** Returns the generated files as they are now. */
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
