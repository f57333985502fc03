/**
 * A gateway, agents and a proxy in Go before a cluster of three nodes, while a node is killed, and while the
 * front is: registrations go on, and nothing that was answered is forgotten.
 */
import { test } from "uvu";
import { goProgram } from "../support/go_program.ts";
import { GrpcFront } from "../support/grpc_front.ts";
import { testWith } from "../support/requirement.ts";
import { SteadyClient } from "../support/steady_client.ts";
import { type RunningCluster, ThreeNodes } from "../support/three_nodes.ts";
import { until } from "../support/until.ts";

const goTest = testWith(await goProgram("./maps"));

const nodes = await ThreeNodes.open();
let running: RunningCluster | undefined;
let front: GrpcFront | undefined;

test.after(async () => {
  await front?.end();
  await nodes.end();
});

goTest("a cluster and a front are started", async () => {
  running = await nodes.start();
  await nodes.spread();
  front = await GrpcFront.start(nodes.folder);
});

goTest("nothing is lost while a node is killed and comes back", async (client) => {
  const steady = new SteadyClient(client, front!.port, 12);
  await steady.registered();
  await nodes.kill(2);
  await until("the death is told", () => running!.process.stderr.includes("ended by SIGKILL"));
  await nodes.restart(2);
  await steady.held();
});

goTest("nothing is lost while the front is killed and started again", async (client) => {
  const steady = new SteadyClient(client, front!.port, 8);
  await steady.registered();
  await front!.end();
  front = await GrpcFront.start(nodes.folder, front!.port);
  await steady.held();
});

test.run();
