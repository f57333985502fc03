/**
 * Registrations and heartbeats of relays and of the agents placed at them.
 *
 * The node that leads the agent's partition drives what concerns an agent: it first asks the leader of
 * the relay's partition which incarnation lives, here or on another node. A placement names that
 * incarnation, and is hidden from the moment when it ends, so nothing depends on the relay living on
 * until the placement is logged.
 */
import {
  type Placement,
  placementCodec,
  type Relay,
  relayCodec,
} from "../../../schemas/gen/record.ts";
import type {
  FindRelayReply,
  FindRelayRequest,
  HeartbeatAgentRequest,
  HeartbeatRelayRequest,
  HeartbeatReply,
  PlaceAgentRequest,
  RegisterRelayRequest,
  RegisterReply,
} from "../../../schemas/gen/wire.ts";
import { bytesEqual } from "../../base/bytes.ts";
import { RegistryError } from "../../base/errors.ts";
import type { AuthenticatedPeer } from "../../base/peer.ts";
import { comparePositions, NO_POSITION, type Position } from "../../base/position.ts";
import { UUID_BYTES } from "../../base/uuid.ts";
import type { Entropy } from "../../base/world.ts";
import { KIND_PLACEMENT, KIND_RELAY } from "../../record/key.ts";
import type { RecordKind } from "../../record/kinds.ts";
import { credentialOf } from "../../record/named_record.ts";
import { relayIncarnationOf } from "../../record/placement.ts";
import { RECORD_SCOPES } from "../../record/plain.ts";
import type { AccessControl } from "../access_control.ts";
import type { LeaderCalls } from "../leader_calls.ts";
import { renewAfterMs } from "../lease_times.ts";
import type { Partition, PartitionTable } from "../partitions.ts";
import type { Proposer } from "../proposer.ts";
import type { Registrar } from "../registrar.ts";
import type { RenewPath } from "../renew_path.ts";
import type { RequestContext } from "../request_context.ts";
import {
  idOfName,
  notRegistered,
  placementAt,
  relayAt,
  slotOfPlacement,
  slotOfRelay,
} from "./relay_key.ts";

/** Dependencies of {@link RelayWrites}. */
export interface RelayWritesParts {
  readonly table: PartitionTable;
  readonly proposer: Proposer;
  readonly leaders: LeaderCalls;
  readonly registrar: Registrar;
  readonly renewals: RenewPath;
  readonly access: AccessControl;
  readonly entropy: Entropy;
  /** The region of this registry. */
  readonly region: string;
}

/** A record to renew. */
interface Renewal {
  readonly kind: RecordKind;
  readonly id: Uint8Array;
  readonly incarnation: Position;
  readonly ttlMs: number;
}

/** Relays and placements are no business of other regions. */
const SCOPE_REGION = RECORD_SCOPES.indexOf("region");
const NO_RELAY: FindRelayReply = {
  id: new Uint8Array(UUID_BYTES),
  owner: new Uint8Array(UUID_BYTES),
  incarnation: NO_POSITION,
  isSameCredential: false,
};

/** Serves the writes. One instance serves all streams of a node. */
export class RelayWrites {
  readonly #parts: RelayWritesParts;

  constructor(parts: RelayWritesParts) {
    this.#parts = parts;
  }

  /** Serves RegisterRelay. */
  registerRelay(request: RegisterRelayRequest, context: RequestContext): Promise<RegisterReply> {
    const { relayId, address, grpcPort } = request;
    const sent: Relay = {
      ...relayCodec.empty(),
      ...this.#sharedOf(request),
      ...{ relayId, address, grpcPort },
    };
    return this.#parts.registrar.register(
      { kind: KIND_RELAY, sent, expected: NO_POSITION },
      context,
    );
  }

  /** Serves PlaceAgent. */
  async placeAgent(request: PlaceAgentRequest, context: RequestContext): Promise<RegisterReply> {
    const { agentId, relayId, credentialHash } = request;
    const { access, table } = this.#parts;
    // Refused before a relay is asked for.
    table.led(KIND_PLACEMENT, idOfName(agentId, "agentId"));
    const relay = await this.#findRelay({ relayId, credentialHash }, context);
    if (relay === undefined) throw notRegistered("relay", relayId);
    access.checkWrite(context.peer, { kind: KIND_RELAY, id: relay.id, ownerId: relay.owner });
    checkCredential(relay.isSameCredential);
    const sent: Placement = {
      ...placementCodec.empty(),
      ...this.#sharedOf(request),
      ...{ agentId, relayId },
      ...{ relay: relay.id, relayIncarnation: relay.incarnation },
    };
    return await this.#parts.registrar.register(
      { kind: KIND_PLACEMENT, sent, expected: NO_POSITION },
      context,
    );
  }

  /** Serves HeartbeatRelay. */
  async heartbeatRelay(
    { relayId, credentialHash }: HeartbeatRelayRequest,
    context: RequestContext,
  ): Promise<HeartbeatReply> {
    const id = idOfName(relayId, "relayId");
    const partition = this.#parts.table.led(KIND_RELAY, id);
    await this.#confirm(partition, context.deadlineMs);
    const slot = slotOfRelay(partition, id, relayId);
    if (slot === -1) throw notRegistered("relay", relayId);
    const relay = relayAt(partition.store, slot);
    checkCredential(bytesEqual(credentialOf(relay), credentialHash));
    const renewal: Renewal = {
      kind: KIND_RELAY,
      id,
      incarnation: incarnationOf(relay),
      ttlMs: relay.ttlMs,
    };
    const reply = await this.#renew(partition, renewal, context);
    if (reply === undefined) throw notRegistered("relay", relayId);
    return reply;
  }

  /** Serves HeartbeatAgent. */
  async heartbeatAgent(
    { agentId, relayId, credentialHash }: HeartbeatAgentRequest,
    context: RequestContext,
  ): Promise<HeartbeatReply> {
    const id = idOfName(agentId, "agentId");
    const partition = this.#parts.table.led(KIND_PLACEMENT, id);
    await this.#confirm(partition, context.deadlineMs);
    const slot = slotOfPlacement(partition, id, agentId);
    if (slot === -1) throw notRegistered("agent", agentId);
    const placement = placementAt(partition.store, slot);
    const { relayId: holder, ttlMs } = placement;
    if (relayId !== "" && holder !== relayId) throw notRegistered("agent", agentId);
    const placed = relayIncarnationOf(placement);
    const renewal: Renewal = {
      kind: KIND_PLACEMENT,
      id,
      incarnation: incarnationOf(placement),
      ttlMs,
    };
    const relay = await this.#findRelay({ relayId: holder, credentialHash }, context);
    if (relay === undefined || comparePositions(relay.incarnation, placed) !== 0) {
      throw notRegistered("agent", agentId);
    }
    checkCredential(relay.isSameCredential);
    // This node may have ceased to lead meanwhile. The incarnation is compared once more.
    await this.#confirm(partition, context.deadlineMs);
    const reply = await this.#renew(partition, renewal, context);
    if (reply === undefined) throw notRegistered("agent", agentId);
    return reply;
  }

  /**
   * Serves FindRelay: the leader of another partition asks for a relay that is led here. It changes nothing,
   * so any node of the cluster may ask, unlike for the steps of writes (node_steps.ts).
   */
  async findRelay(request: FindRelayRequest, { deadlineMs }: RequestContext) {
    const partition = this.#parts.table.led(KIND_RELAY, idOfName(request.relayId, "relayId"));
    return await this.#findRelayHere(partition, request, deadlineMs) ?? NO_RELAY;
  }

  /** Finds the live incarnation of a relay, wherever it is led; `undefined` if there is none. */
  async #findRelay(
    request: FindRelayRequest,
    { deadlineMs }: RequestContext,
  ): Promise<FindRelayReply | undefined> {
    const { table, leaders } = this.#parts;
    const id = idOfName(request.relayId, "relayId");
    const found = await leaders.take({
      what: "the relay",
      place: () => table.of(KIND_RELAY, id),
      here: (partition) => this.#findRelayHere(partition, request, deadlineMs),
      there: (calls, node, timeoutMs) => calls.call(node, "findRelay", request, timeoutMs),
      deadlineMs,
    });
    return found === undefined || found.incarnation.index === 0 ? undefined : found;
  }

  async #findRelayHere(
    partition: Partition,
    { relayId, credentialHash }: FindRelayRequest,
    deadlineMs: number,
  ): Promise<FindRelayReply | undefined> {
    await this.#confirm(partition, deadlineMs);
    const slot = slotOfRelay(partition, idOfName(relayId, "relayId"), relayId);
    if (slot === -1) return undefined;
    const relay = relayAt(partition.store, slot);
    return {
      id: relay.id,
      owner: relay.owner,
      incarnation: incarnationOf(relay),
      isSameCredential: bytesEqual(credentialOf(relay), credentialHash),
    };
  }

  /** Waits until this node is known to lead a partition. @throws RegistryError if it does not. */
  async #confirm({ group }: Partition, deadlineMs: number): Promise<void> {
    if (group.readPoint(0) !== undefined) return;
    const permitted = await group.readBarrier(0, this.#parts.proposer.leftMs(deadlineMs));
    if (permitted instanceof RegistryError) throw permitted;
  }

  /** Renews a record that was just found; returns undefined if it is gone. */
  async #renew(
    partition: Partition,
    renewal: Renewal,
    context: RequestContext,
  ): Promise<HeartbeatReply | undefined> {
    const { access, renewals, entropy } = this.#parts;
    const { kind, id, ttlMs } = renewal;
    const refused = access.refuseRenewal(context.peer, kind, id, 0, partition);
    if (refused !== undefined) throw notOwner(refused, context.peer);
    const outcome = await renewals.renewOne(partition, renewal, context);
    switch (outcome) {
      case "renewed":
        return { renewAfterMs: renewAfterMs(ttlMs, entropy) };
      case "not_found":
      case "superseded":
        return undefined;
      case "permission_denied":
        throw notOwner("permission_denied", context.peer);
      case "needs_extension":
        throw new RegistryError("overloaded", "The lease was not extended in time: try again");
      case "not_leader":
        throw partition.group.notLeading() ??
          new RegistryError("not_leader", "This node has just ceased to lead the partition");
    }
  }

  /** Returns the fields that relays and placements take from a request in the same way. */
  #sharedOf({ ttlMs, credentialHash, process }: RegisterRelayRequest | PlaceAgentRequest) {
    return {
      ...{ ttlMs, process, sequence: 1, scope: SCOPE_REGION, region: this.#parts.region },
      extra: credentialHash.length === 0
        ? undefined
        : { credentialHash, labels: [], superseded: [] },
    };
  }
}

function incarnationOf(
  record: { readonly incarnationGeneration: number; readonly incarnationIndex: number },
): Position {
  return { generation: record.incarnationGeneration, index: record.incarnationIndex };
}

function checkCredential(isSame: boolean): void {
  if (isSame) return;
  throw new RegistryError(
    "permission_denied",
    "The relay is registered under another credential",
    { field: "credentialHash" },
  );
}

function notOwner(
  code: NonNullable<ReturnType<AccessControl["refuseRenewal"]>>,
  { subject }: AuthenticatedPeer,
): RegistryError {
  return new RegistryError(code, `The identity ${subject} may not renew it: it belongs to another`);
}
