/** The flags of `crs region start`, and those of the nodes that it starts. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { RegistryError } from "../../../../src/base/errors.ts";
import { regionFlags, regionsSettings } from "../../../../src/cli/regions/settings.ts";

test("regionsSettings: two regions with folders and ports of their own", () => {
  const settings = regionsSettings({ data: "/tmp/r", port: "7000", partitions: "8" });
  const ports = settings.regions.flatMap((
    { port, peerPort, opsPort },
  ) => [port, peerPort, opsPort]);
  assert.is(new Set(ports).size, 6);
  assert.equal([...ports].sort(), [7000, 7001, 7002, 7003, 7004, 7005]);
  assert.equal(regionFlags(settings.regions[1]!, settings), [
    ...["--data", "/tmp/r/us-1", "--region", "us-1", "--partitions", "8"],
    ...["--port", "7001", "--peer-port", "7003", "--ops-port", "7005"],
  ]);
  assert.is(regionsSettings({}).regions[0]!.folder, "./regions/eu-1");
});

test("regionsSettings refuses ports that do not all exist", () => {
  assert.throws(
    () => regionsSettings({ port: "65535" }),
    ({ code }: RegistryError) => code === "invalid_argument",
  );
});

test.run();
