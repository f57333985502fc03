/** Measurements of memory in a process of their own, whose garbage can be collected. */
import * as assert from "uvu/assert";
import { within } from "../../support/until.ts";
import { DENO_RUN } from "../../support/deno_run.ts";

/** Runs a program of this folder and returns the JSON that it prints. */
export async function measuredBy<Figures>(program: string): Promise<Figures> {
  const path = new URL(program, import.meta.url).href;
  const output = await within(
    "the process",
    new Deno.Command(Deno.execPath(), {
      args: [...DENO_RUN, "--v8-flags=--expose-gc", path],
    }).output(),
    60_000,
  );
  assert.is(output.code, 0, new TextDecoder().decode(output.stderr));
  return JSON.parse(new TextDecoder().decode(output.stdout));
}
