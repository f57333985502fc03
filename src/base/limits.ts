/**
 * All limits of the registry, each with its reason, by subject. A queue, frame, batch, retry or
 * timer without a limit in one of these files is unbounded, which is a defect. Import limits from
 * this file.
 */

export * from "./limits/frames.ts";
export * from "./limits/records.ts";
export * from "./limits/requests.ts";
export * from "./limits/watches.ts";
export * from "./limits/client_watches.ts";
export * from "./limits/leases.ts";
export * from "./limits/store.ts";
export * from "./limits/groups.ts";
export * from "./limits/consensus.ts";
export * from "./limits/cluster.ts";
export * from "./limits/regions.ts";
export * from "./limits/governance.ts";
export * from "./limits/peers.ts";
export * from "./limits/liveness.ts";
export * from "./limits/freshness.ts";
export * from "./limits/log.ts";
export * from "./limits/backup.ts";
export * from "./limits/transport.ts";
export * from "./limits/sessions.ts";
export * from "./limits/delegations.ts";
export * from "./limits/identity.ts";
export * from "./limits/tokens.ts";
export * from "./limits/capabilities.ts";
export * from "./limits/client.ts";
export * from "./limits/cli.ts";
export * from "./limits/node.ts";
export * from "./limits/faces.ts";
export * from "./limits/http.ts";
export * from "./limits/grpc.ts";
export * from "./limits/relay.ts";
export * from "./limits/maps.ts";
