/** A front looks for another certificate in its files, and keeps the one before if it cannot be used. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { HTTP_CERTIFICATE_LOOK_MS } from "../../../src/base/limits.ts";
import { SILENT_LOGGER } from "../../../src/base/logger.ts";
import { CertificateRenewal } from "../../../src/front/certificate_renewal.ts";
import { SteppedWorld } from "../../support/stepped_world.ts";
import type { TlsCertificate } from "../../../transport/transport.ts";

const certificateOf = (name: string) => ({
  chainPem: `chain of ${name}`,
  keyPem: `key of ${name}`,
});

test("CertificateRenewal uses what is new and can be used, and reports a fault once", async () => {
  const world = new SteppedWorld();
  let files: TlsCertificate | undefined = certificateOf("a");
  const used: string[] = [];
  const said: string[] = [];
  const renewal = new CertificateRenewal({
    read: () => {
      if (files === undefined) throw new Error("no file");
      return files;
    },
    inUse: certificateOf("a"),
    use: ({ chainPem, keyPem }) => {
      if (chainPem.slice(9) !== keyPem.slice(7)) throw new Error("no match");
      used.push(chainPem);
    },
    scheduler: world.scheduler,
    logger: {
      ...SILENT_LOGGER,
      info: () => said.push("replaced"),
      warn: (_, facts) => said.push((facts?.["error"] as Error).message),
    },
  });
  const lookTwice = () => world.pass(2 * HTTP_CERTIFICATE_LOOK_MS);
  await lookTwice();
  assert.equal([used, said], [[], []]);
  files = { ...certificateOf("b"), keyPem: certificateOf("a").keyPem };
  await lookTwice();
  assert.equal(said, ["no match"]);
  files = certificateOf("b");
  await lookTwice();
  assert.equal([used, said], [["chain of b"], ["no match", "replaced"]]);
  files = undefined;
  await lookTwice();
  assert.equal(said.slice(2), ["no file"]);
  files = certificateOf("a");
  await lookTwice();
  assert.equal(used, ["chain of b", "chain of a"]);
  renewal.close();
  files = certificateOf("c");
  await lookTwice();
  assert.is(used.length, 2);
});

test.run();
