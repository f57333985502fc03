/** The hooks of a checker of growing clusters. Each may throw a `Finding`. */
import type { RegistryError } from "../../../src/base/errors.ts";
import type { ReadPoint } from "../../../src/replication/group_interface.ts";
import type { ClusterGroups } from "../../../src/replication/assembly/cluster_groups.ts";
import type { LeasePromise } from "./kept_lease.ts";
import type { PlacedMachine } from "./machine.ts";
import type { MapsAnswered, MapsCall } from "./maps.ts";
import type { RelayAnswered, RelayCall } from "./relays.ts";
import type { SdkAnswer, SdkCall } from "./sdk_history.ts";

/** Watches one run. */
export interface PlacedChecker {
  readonly name: string;
  /** A folder has a number. @param before the address of the machine that had it, if any did. */
  joined?(machine: PlacedMachine, before: number | undefined): void;
  /** A program has opened its groups. */
  opened?(machine: PlacedMachine, groups: ClusterGroups): void;
  /** A program could not open its groups. */
  refused?(machine: PlacedMachine, error: RegistryError): void;
  /** A replica is gone from a machine's log for good. */
  removed?(machine: PlacedMachine, replica: number): void;
  /** The SDK promises a client that a record lives. */
  promised?(promise: LeasePromise): void;
  /** A machine answers with a part of some age. */
  aged?(machine: PlacedMachine, partition: number, point: ReadPoint): void;
  /** A client begins a call. */
  called?(call: SdkCall): void;
  /** A call of a client has ended. */
  answered?(answer: SdkAnswer): void;
  /** A front begins a call about relays. */
  relayCalled?(call: RelayCall): void;
  /** A call of a front has ended. */
  relayAnswered?(answer: RelayAnswered): void;
  /** A program of the Maps protocol begins a call. */
  mapsCalled?(call: MapsCall): void;
  /** A call of such a program has ended. */
  mapsAnswered?(answer: MapsAnswered): void;
  /** Something ran on a machine that is up. */
  stepped?(machine: PlacedMachine, groups: ClusterGroups): void;
  /** Called every 50 ms. */
  looked?(): void;
  /** Faults have ended and everything has come to rest. */
  ended?(): void;
}
