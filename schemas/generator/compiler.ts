/** Runs the `capnp` program, the only outside program that the generator needs. */

/** Debian's package that brings `capnp`. */
export const CAPNP_PACKAGE = "capnproto";

/** Holds annotations only. */
const ANNOTATIONS_FILE = "codec.capnp";

/** What `capnp` said; `undefined` where the machine does not have it. */
export interface CompilerOutput {
  readonly success: boolean;
  readonly stdout: Uint8Array;
  readonly stderr: string;
}

/** The schemas of the folder `schemas/` under `root`, relative to it, in the order of their names. */
export function schemaFiles(root: URL): string[] {
  return [...Deno.readDirSync(new URL("schemas/", root))]
    .map((file) => file.name)
    .filter((name) => name.endsWith(".capnp") && name !== ANNOTATIONS_FILE)
    .sort()
    .map((name) => `schemas/${name}`);
}

/** Compiles `files`, relative to `root`, to the bytes of a CodeGeneratorRequest. */
export function compileSchemas(root: URL, files: readonly string[]): CompilerOutput | undefined {
  try {
    const { success, stdout, stderr } = new Deno.Command("capnp", {
      args: ["compile", "-o-", ...files],
      cwd: root,
    }).outputSync();
    return { success, stdout, stderr: new TextDecoder().decode(stderr).trim() };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return undefined;
  }
}
