/** Runs the `capnp` program, the only external program that the generator needs. */

/** The Debian package that provides `capnp`. */
export const CAPNP_PACKAGE = "capnproto";

/** A schema file that holds annotations only. */
const ANNOTATIONS_FILE = "codec.capnp";

/** The output of `capnp`. */
export interface CompilerOutput {
  readonly success: boolean;
  readonly stdout: Uint8Array;
  readonly stderr: string;
}

/**
 * Returns the schema files in the folder `schemas/` under `root`, relative to `root`, sorted by
 * name.
 */
export function schemaFiles(root: URL): string[] {
  return [...Deno.readDirSync(new URL("schemas/", root))]
    .map((file) => file.name)
    .filter((name) => name.endsWith(".capnp") && name !== ANNOTATIONS_FILE)
    .sort()
    .map((name) => `schemas/${name}`);
}

/**
 * Compiles `files`, relative to `root`, to the bytes of a CodeGeneratorRequest. Returns undefined
 * if `capnp` is not installed.
 */
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
