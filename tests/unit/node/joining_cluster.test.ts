/** JoiningCluster: checks of the data folder at a start, and the end of the attempts to join. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type ErrorCode, RegistryError } from "../../../src/base/errors.ts";
import { JOIN_MS_MAX, JOIN_RETRY_MS } from "../../../src/base/limits.ts";
import { SILENT_LOGGER } from "../../../src/base/logger.ts";
import type { ClusterFile } from "../../../src/node/cluster_file.ts";
import { resolveConfig } from "../../../src/node/config.ts";
import { repeatJoin } from "../../../src/node/join_attempts.ts";
import { checkStart } from "../../../src/node/joining_cluster.ts";
import { SteppedWorld } from "../../support/stepped_world.ts";

const PIN = `sha256:${"ab".repeat(32)}`;
const JOIN = { join: "192.0.2.1:4443", pin: PIN };
const AUTHORITY = { authority: "./pki/authority" };
const FOLDER_ID = new Uint8Array(16).fill(1);

function member(isNew: boolean): ClusterFile {
  const membership = { nodeId: 7, isNew } as ClusterFile["membership"];
  return { folderId: FOLDER_ID, ...(membership === undefined ? {} : { membership }) };
}

/** Settings, what the data folder holds, and the refusal with its advice; "ok" if it may start. */
const STARTS: readonly (readonly [
  name: string,
  flags: Readonly<Record<string, unknown>>,
  folder: { readonly file?: ClusterFile; readonly hasLog: boolean },
  wanted: RegExp,
])[] = [
  ["an empty folder, without identities", {}, { hasLog: false }, /^ok$/],
  [
    "an empty folder with an authority, and nothing said",
    AUTHORITY,
    { hasLog: false },
    /^invalid_configuration found: .* start with --found .* or with --join, --pin and --token/,
  ],
  ["an empty folder that founds", { ...AUTHORITY, found: true }, { hasLog: false }, /^ok$/],
  ["an empty folder that joins", JOIN, { hasLog: false }, /^ok$/],
  [
    "a folder with a cluster of its own that is to join another one",
    JOIN,
    { hasLog: true },
    /^invalid_configuration join: .* must be empty: .* Choose another folder, or start without --join/,
  ],
  ["a member that starts again", JOIN, { file: member(false), hasLog: true }, /^ok$/],
  ["a member that crashed while it joined", JOIN, { file: member(true), hasLog: false }, /^ok$/],
  [
    "a member whose log is gone",
    {},
    { file: member(false), hasLog: false },
    /^corrupt .* was that of node 7: remove that node .* join again with an empty data folder/,
  ],
];

for (const [name, flags, { file, hasLog }, wanted] of STARTS) {
  test(`checkStart: ${name}`, () => {
    const config = resolveConfig({ flags: { data: "./data", ...flags }, environment: {} });
    let outcome = "ok";
    try {
      checkStart(config, file, hasLog);
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      outcome = `${error.code} ${error.fields.field}: ${error.message}`;
    }
    assert.match(outcome, wanted);
  });
}

/** The end of attempts that fail with a code: its code, the count of attempts, and the time taken. */
async function attempts(code: ErrorCode, stopAtMs = Infinity): Promise<[string, number, number]> {
  const world = new SteppedWorld(1);
  const stop = new AbortController();
  let count = 0;
  const attempt = () => {
    count++;
    if (world.nowMs() >= stopAtMs) stop.abort();
    return Promise.reject(new RegistryError(code, "refused"));
  };
  const startMs = world.nowMs();
  const joined = repeatJoin("not yet", attempt, {
    config: { join: JOIN.join },
    world,
    logger: SILENT_LOGGER,
    signal: stop.signal,
  });
  const end = joined.then(() => "joined", (error: RegistryError) => error.code);
  const ended = await world.wait(end, 2 * JOIN_MS_MAX);
  return [ended, count, world.nowMs() - startMs];
}

test("repeatJoin ends at once where a further attempt would be refused too", async () => {
  const final: ErrorCode[] = [
    ...["invalid_configuration", "wrong_cluster", "locked", "unauthenticated"] as const,
    ...["permission_denied", "tls_failed", "unsupported_version", "not_replica"] as const,
  ];
  for (const code of final) assert.equal(await attempts(code), [code, 1, 0]);
});

test("repeatJoin asks again while the cluster may come, and tells the last refusal after a minute", async () => {
  for (
    const code of ["deadline_exceeded", "connection_lost", "overloaded", "not_leader"] as const
  ) {
    const [ended, count, tookMs] = await attempts(code);
    assert.is(ended, code);
    assert.ok(count > 100 && tookMs >= JOIN_MS_MAX && tookMs <= JOIN_MS_MAX + 2 * JOIN_RETRY_MS);
  }
});

test("repeatJoin ends as soon as the node is stopped", async () => {
  const [ended, , tookMs] = await attempts("connection_lost", 5_000);
  assert.is(ended, "shutting_down");
  assert.ok(tookMs < 6_000);
});

test("repeatJoin ends without waiting for an attempt or a pause when the node is stopped", async () => {
  const forever = new Promise<never>(() => {});
  const refused = () => Promise.reject(new RegistryError("connection_lost", "refused"));
  for (const attempt of [() => forever, refused]) {
    const world = new SteppedWorld(1);
    const stop = new AbortController();
    const joined = repeatJoin("not yet", attempt, {
      config: { join: JOIN.join },
      world,
      logger: SILENT_LOGGER,
      signal: stop.signal,
    });
    const code = joined.then(() => "joined", (error: RegistryError) => error.code);
    await world.turn();
    stop.abort();
    // No timer runs.
    assert.is(await code, "shutting_down");
  }
});

test.run();
