/**
 * Test files that `deno task test` omits, so that it ends within minutes on a small machine: sessions and
 * faults on real processes that take long, clients in other languages, and checks of the project's own
 * tools. `--all` runs them too, as `.ci/run` does, and so does a pattern.
 */

/**
 * The omitted files, by their path within the folder of tests, each with what tests the same behaviour in
 * every run.
 */
export const OMITTED: Readonly<Record<string, string>> = {
  "cluster/backup.test.ts": "unit/backup/backup_folder.test.ts, unit/backup/restored_node.test.ts",
  "cluster/certified_cluster.test.ts":
    "cluster/identity_session.test.ts, unit/node/certified_node_identity.test.ts",
  "cluster/certified_regions.test.ts":
    "cluster/regions.test.ts, unit/region/region_trust.test.ts, unit/node/regions.test.ts",
  "cluster/certified_restore.test.ts":
    "unit/backup/backup_folder.test.ts, unit/backup/rebuilt_system.test.ts",
  "cluster/front_service.test.ts":
    "cluster/http_front.test.ts, unit/cli/supervised_service.test.ts, unit/front/callers.test.ts",
  "cluster/mass_silence.test.ts": "unit/serving/expiry/expiry_guard.test.ts",
  "cluster/readme.test.ts":
    "cluster/cli_session.test.ts, cluster/identity_session.test.ts, cluster/three_nodes.test.ts",
  "cluster/relays.test.ts": "unit/serving/relays.test.ts, unit/relay/cluster_backend.test.ts",
  "cluster/reshaping.test.ts": "unit/replication/placement/departures.test.ts",
  "cluster/rolling_restart.test.ts": "cluster/three_nodes.test.ts, sim/placed/placed.test.ts",
  "cluster/runner_kill.test.ts": "unit/replication/placement/departures.test.ts",
  "cluster/svc_registry.test.ts": "unit/cli/compat/svc_registry.test.ts",
  "cluster/three_nodes_killed.test.ts":
    "cluster/three_nodes.test.ts, sim/placed/placed.test.ts, unit/client/watch/watch.test.ts",
  "cluster/unsafe_recovery.test.ts": "unit/backup/unsafe_recovery.test.ts",
  // `deno task ok` runs the tool on the protos as they are.
  "interop/grpc.test.ts": "unit/grpc/app.test.ts, unit/front/grpc_listener.test.ts",
  "interop/grpc_identities.test.ts": "unit/front/grpc_callers.test.ts",
  "interop/grpc_registry.test.ts":
    "unit/grpc/registry/records.test.ts, unit/grpc/registry/watch.test.ts",
  "unit/schemas/protobuf.test.ts": "unit/grpc/messages.test.ts",
};
