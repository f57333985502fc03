/** The parts of group 0's state, in the order of their sections in images. A new part gets a line here. */
import { DepartureState } from "./departures/departure_state.ts";
import { ExpiryState } from "./expiry/expiry_state.ts";
import { FoundingState } from "./founding/founding_state.ts";
import { AuditState } from "./identities/audit_state.ts";
import { IdentityState } from "./identity_state.ts";
import { LeaderState } from "./leaders/leader_state.ts";
import { MemberState } from "./members/member_state.ts";
import { MoveState } from "./moves/move_state.ts";
import { PlacementState } from "./placement/placement_state.ts";
import { RegionState } from "./regions/region_state.ts";
import { ReplicaState } from "./replicas/replica_state.ts";
import type { SubMachine } from "./sub_machine.ts";
import { VersionState } from "./versions/version_state.ts";

/** The whole state of group 0 but for its position and time. */
export class SystemState {
  readonly audit = new AuditState(() => this.versions.applyVersion);
  readonly founding = new FoundingState();
  readonly members = new MemberState(
    this.founding,
    this.audit,
    () => this.versions.applyVersion,
  );
  readonly identities = new IdentityState(this.audit, () => this.versions.applyVersion);
  readonly replicas: ReplicaState = new ReplicaState(
    this.founding,
    this.members,
    (replica) => this.placement.isPlaced(replica),
  );
  readonly placement: PlacementState = new PlacementState(this.founding, this.replicas);
  readonly versions: VersionState = new VersionState(this.founding, this.members);
  readonly regions = new RegionState(this.founding, this.members, this.versions, this.audit);
  readonly departures = new DepartureState(this);
  readonly leaders = new LeaderState(this);
  readonly expiry = new ExpiryState(this);
  readonly moves = new MoveState(this);

  /** The parts, in the order of their sections. Later ones may depend on earlier ones. */
  readonly parts: readonly SubMachine[] = [
    this.founding,
    this.members,
    ...this.identities.parts,
    this.audit,
    this.replicas,
    this.placement,
    this.versions,
    this.regions,
    this.departures,
    this.leaders,
    this.expiry,
    this.moves,
  ];
}
