/**
 * The gRPC face with clients of others: grpc-go, as the relays and gateways of other projects use it, and
 * Python's grpcio. The front runs beside its node, as `crs start --grpc` starts it.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { AeroRegistry } from "../../schemas/proto/gen/aeroarc/registry/v1/registry_pb.ts";
import { goProgram } from "../support/go_program.ts";
import { descriptorsOf, pythonWithGrpc } from "../support/grpc_clients.ts";
import { held, withGrpcNode } from "../support/grpc_nodes.ts";
import { modernNode } from "../support/modern_node.ts";
import { allOf, testWith } from "../support/requirement.ts";
import { inTemporaryFolder } from "../support/temporary_folder.ts";
import { until } from "../support/until.ts";

const goTest = testWith(await goProgram("./relay"));
const goOnNodeTest = testWith(allOf(await goProgram("./relay"), await modernNode()));
const pythonTest = testWith(await pythonWithGrpc());

goTest(
  "grpc-go: every call, deadlines, cancellations, limits, load and silence",
  (client) =>
    inTemporaryFolder((folder) =>
      withGrpcNode(folder, [], async ({ address }) => {
        const checks = "lifecycle refusals health reflection cancel deadline limits load";
        await Promise.all([
          held(client, address, ...checks.split(" ")),
          held(client, address, "keepalive"),
        ]);
      })
    ),
);

goOnNodeTest("grpc-go: the face on Node serves the same", async (client) => {
  const target = new URL("../support/grpc_target.ts", import.meta.url).pathname;
  const served = new Deno.Command((await modernNode()).found!, {
    args: ["--no-warnings", target],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const lines = served.stdout.pipeThrough(new TextDecoderStream()).getReader();
  try {
    const { value: port = "" } = await lines.read();
    // Without `cancel`: Node counts calls that were left for a moment longer, and refuses some of 500.
    const checks = "lifecycle refusals health reflection deadline limits load";
    await held(client, `127.0.0.1:${port.trim()}`, ...checks.split(" "));
  } finally {
    served.kill("SIGKILL");
    await served.status;
    await lines.cancel();
  }
});

goTest(
  "grpc-go: relays and agents end by their ttl, and agents with their relay",
  (client) =>
    inTemporaryFolder((folder) => {
      const flags = ["--relay-backend", "memory:", "--relay-ttl", "1s", "--agent-ttl", "1s"];
      return withGrpcNode(folder, flags, ({ address }) => held(client, address, "expiry"));
    }),
);

goTest(
  "grpc-go: a relay loses its front, finds it again and registers again",
  (client) =>
    inTemporaryFolder((folder) =>
      withGrpcNode(folder, ["--relay-backend", "memory:"], async ({ process, address }) => {
        const relay = new Deno.Command(client, {
          args: [address, "heartbeats"],
          stdin: "null",
          stdout: "piped",
          stderr: "inherit",
        }).spawn();
        let output = "";
        const reading = (async () => {
          const { stdout } = relay;
          for await (const text of stdout.pipeThrough(new TextDecoderStream())) output += text;
        })();
        await until("the relay is registered", () => output.includes("registered"), 20_000);
        const { child: { pid } } = process;
        const children = await Deno.readTextFile(`/proc/${pid}/task/${pid}/children`);
        Deno.kill(Number(children.trim().split(" ")[0]), "SIGKILL");
        const { success } = await relay.status;
        await reading;
        assert.ok(success && output.includes("ok heartbeats"), output);
      })
    ),
);

pythonTest(
  "grpcio of Python: registration, takeover, refusals and threads",
  (python) =>
    inTemporaryFolder((folder) =>
      withGrpcNode(folder, [], async ({ address }) => {
        const descriptors = `${folder}/registry.binpb`;
        Deno.writeFileSync(descriptors, descriptorsOf(AeroRegistry));
        const script = new URL("./python/relay.py", import.meta.url).pathname;
        await held(python, script, address, descriptors);
      })
    ),
);

test.run();
