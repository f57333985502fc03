/**
 * `crs.v1.Registry` with clients of others: grpc-go, Python's grpcio and grpcurl. The front runs beside its
 * node, as `crs start --grpc` starts it.
 */
import { test } from "uvu";
import { Registry } from "../../schemas/proto/gen/crs/v1/registry_pb.ts";
import { goProgram } from "../support/go_program.ts";
import { descriptorsOf, pythonWithGrpc } from "../support/grpc_clients.ts";
import { held, withGrpcNode } from "../support/grpc_nodes.ts";
import { testWith } from "../support/requirement.ts";
import { inTemporaryFolder } from "../support/temporary_folder.ts";

const goTest = testWith(await goProgram("./registry"));
const pythonTest = testWith(await pythonWithGrpc());

goTest(
  "grpc-go: records, lists, watches, cancellation, deadlines and bad input",
  (client) =>
    inTemporaryFolder((folder) =>
      withGrpcNode(folder, [], async ({ address }) => {
        const checks = "lifecycle refusals lists watch cancel deadline governed many";
        await held(client, address, ...checks.split(" "));
      })
    ),
);

goTest(
  "grpc-go: a watch that is not read is ended, and holds up nobody",
  (client) =>
    inTemporaryFolder((folder) =>
      withGrpcNode(folder, [], ({ address }) => held(client, address, "unread"))
    ),
);

pythonTest(
  "grpcio of Python: register, resolve, watch and a refusal",
  (python) =>
    inTemporaryFolder((folder) =>
      withGrpcNode(folder, [], async ({ address }) => {
        const descriptors = `${folder}/registry.binpb`;
        Deno.writeFileSync(descriptors, descriptorsOf(Registry));
        const script = new URL("./python/registry.py", import.meta.url).pathname;
        await held(python, script, address, descriptors);
      })
    ),
);

test.run();
