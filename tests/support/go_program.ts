/** Programs in Go, as the tests of real clients need them. */
import type { Requirement } from "./requirement.ts";

const SOURCE = new URL("../interop/go/", import.meta.url);

/**
 * Returns a program of tests/interop/go, built for this run; it is missing where there is no Go, or where
 * the modules that it needs cannot be fetched.
 *
 * @param folder of its package: `./maps`.
 */
export async function goProgram(folder: string): Promise<Requirement<string>> {
  const path = `${await Deno.makeTempDir()}/program`;
  const advice =
    "a Go of 1.26 or newer, or grpc-go by its module proxy, is missing; go.dev has both";
  try {
    const { success } = await new Deno.Command("go", {
      args: ["build", "-mod=readonly", "-o", path, folder],
      cwd: SOURCE,
      env: { CGO_ENABLED: "0" },
      stdout: "null",
      stderr: "null",
    }).output();
    return { found: success ? path : undefined, advice };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return { found: undefined, advice };
  }
}
