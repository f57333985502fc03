/** `crs cluster drain`, as far as it depends on no cluster. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../../src/base/errors.ts";
import { runCrs } from "../../../support/run_crs.ts";

test("crs cluster drain names the flag that allows fewer replicas, and advises on nothing else", async () => {
  const drained = (field: string) => {
    const refusal = new RegistryError("invalid_argument", "Too few nodes stay", { field });
    return runCrs("cluster drain node-2", { answers: { call: () => Promise.reject(refusal) } });
  };
  const tooFew = await drained("isFewerAllowed");
  assert.is(tooFew.code, 2);
  assert.match(tooFew.stderr, "Too few nodes stay");
  assert.match(tooFew.stderr, "--allow-fewer-replicas");
  assert.not.match((await drained("nodeId")).stderr, "--allow-fewer-replicas");
});

test.run();
