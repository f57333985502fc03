/**
 * The read path: request → partition → permission to read now → the stored bytes, embedded with a
 * receipt. Nothing is decoded and nothing is allocated for a record; a reply is appended to the
 * stream's buffer and is sent with its chunk (request_stream.ts).
 *
 * A handler that lacks a group's permission writes nothing and returns that group; the dispatcher
 * waits for its barrier and calls the handler again. Every part of an answer carries the receipt of
 * the partition it came from; a part held by another node is given as its id, for the client to
 * fetch.
 */
import { agentCodec, aliasCodec } from "../../schemas/gen/record.ts";
import {
  idRequestCodec,
  type RecordReply,
  recordReplyCodec,
  type RequestView,
  type ResolveReply,
  resolveReplyCodec,
  resolveRequestCodec,
} from "../../schemas/gen/wire.ts";
import type { FrameWriter, Input } from "../../schemas/runtime/writer.ts";
import { RegistryError } from "../base/errors.ts";
import { NEGATIVE_CACHE_MS } from "../base/limits.ts";
import type { AuthenticatedPeer } from "../base/peer.ts";
import { formatUuid, isNilUuid, UUID_BYTES } from "../base/uuid.ts";
import { canonicalDomainBytes } from "../record/domain.ts";
import { KIND_AGENT, KIND_ALIAS, KIND_GATEWAY, type RecordKind } from "../record/key.ts";
import type { StoredSpan } from "../store/reply.ts";
import { emptySpan } from "../store/reply.ts";
import type { Group, ReadPoint } from "../replication/group_interface.ts";
import type { CredentialVeil } from "./credential_veil.ts";
import type { Partition, PartitionTable } from "./partitions.ts";
import type { ReplyWriter } from "./reply_writer.ts";

/** Group whose permission a read lacks. */
export type ReadBarrier = Pick<Group<unknown>, "readBarrier">;

/** Result of a read: the code of the answer, or the group to wait for; then nothing was written. */
export type ReadAnswer = "ok" | "not_found" | ReadBarrier;

/** Status of a part of a composite answer (schemas/wire.capnp, ResolveReply). */
export const PART_NONE = 0;
/** See {@link PART_NONE}. */
export const PART_INCLUDED = 1;
/** See {@link PART_NONE}. */
export const PART_NOT_FOUND = 2;
/** See {@link PART_NONE}. */
export const PART_ELSEWHERE = 3;

/** Answer for a domain, reused between requests, with room for its stored forms. */
export interface Resolution {
  readonly reply: Mutable<Input<ResolveReply>>;
  readonly agent: StoredSpan;
  readonly gateway: StoredSpan;
  /**
   * Partitions in which the parts were read: alias, agent, gateway, as far as this node holds them.
   */
  readonly partitions: number[];
  readonly points: ReadPoint[];
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const NO_BYTES = new Uint8Array(0);
const NIL_ID = new Uint8Array(UUID_BYTES);

/** Returns an empty resolution. */
export function newResolution(): Resolution {
  return {
    reply: {
      agent: NO_BYTES,
      gateway: NO_BYTES,
      agentId: NIL_ID,
      gatewayId: NIL_ID,
      agentRemainingMs: 0,
      gatewayRemainingMs: 0,
      agentPart: PART_NONE,
      gatewayPart: PART_NONE,
      claim: { generation: 0, index: 0 },
    },
    agent: emptySpan(),
    gateway: emptySpan(),
    partitions: [],
    points: [],
  };
}

/** Answers reads of one key. One instance serves all streams of a node. */
export class ReadPath {
  readonly #table: PartitionTable;
  readonly #replies: ReplyWriter;
  readonly #veil: CredentialVeil;
  readonly #idRequest = idRequestCodec.newView();
  readonly #resolveRequest = resolveRequestCodec.newView();
  readonly #alias = aliasCodec.newView();
  readonly #agent = agentCodec.newView();
  readonly #span = emptySpan();
  readonly #record: Mutable<Input<RecordReply>> = { record: this.#span, remainingMs: 0 };
  readonly #resolution = newResolution();

  constructor(table: PartitionTable, replies: ReplyWriter, veil: CredentialVeil) {
    this.#table = table;
    this.#replies = replies;
    this.#veil = veil;
  }

  /** Answers GetAgent and GetGateway. */
  get(
    kind: RecordKind,
    request: RequestView,
    out: FrameWriter,
    peer: AuthenticatedPeer,
  ): ReadAnswer {
    const body = request.bodyInto(this.#idRequest);
    const bytes = body.$bytes;
    const start = body.idOffset;
    const end = start + UUID_BYTES;
    const partition = this.#table.of(kind, bytes, start, end);
    if (partition === undefined) throw notReplica();
    const point = partition.group.readPoint(request.maxStalenessMs);
    if (point === undefined) return partition.group;

    this.#replies.begin(request.id);
    this.#replies.addReceipt(partition.id, point);
    const slot = partition.store.find(kind, bytes, start, end);
    if (slot === -1) {
      const noun = kind === KIND_AGENT ? "agent" : "gateway";
      return this.#notFound(out, `No ${noun} has the id ${formatUuid(bytes, start)}`);
    }
    this.#record.record = this.#veil.cover(peer, kind, partition.store.locate(slot, this.#span));
    this.#record.remainingMs = leaseRemainingMs(partition, slot);
    this.#replies.success(out, recordReplyCodec, this.#record);
    return "ok";
  }

  /** Answers ResolveAgent: the agent that holds a domain, and its gateway. */
  resolve(request: RequestView, out: FrameWriter, peer: AuthenticatedPeer): ReadAnswer {
    const body = request.bodyInto(this.#resolveRequest);
    const { bytes, start, end } = canonicalDomainBytes(
      body.$bytes,
      body.domainOffset,
      body.domainLength,
    );
    const resolution = this.#resolution;
    const waiting = this.find(bytes, start, end, request.maxStalenessMs, peer, resolution);
    if (waiting !== undefined) return waiting;

    this.#replies.begin(request.id);
    for (let part = 0; part < resolution.points.length; part++) {
      this.#replies.addReceipt(resolution.partitions[part]!, resolution.points[part]!);
    }
    const part = resolution.reply.agentPart;
    if (part !== PART_INCLUDED && part !== PART_ELSEWHERE) {
      return this.#notFound(out, `No live agent holds the domain ${asciiText(bytes, start, end)}`);
    }
    this.#replies.success(out, resolveReplyCodec, resolution.reply);
    return "ok";
  }

  /**
   * Fills `into` for the canonical domain `[start, end)` of `bytes`, or returns the group to wait
   * for.
   */
  find(
    bytes: Uint8Array,
    start: number,
    end: number,
    maxStalenessMs: number,
    peer: AuthenticatedPeer,
    into: Resolution,
  ): ReadBarrier | undefined {
    clear(into);
    const home = this.#table.of(KIND_ALIAS, bytes, start, end);
    if (home === undefined) throw notReplica();
    const point = home.group.readPoint(maxStalenessMs);
    if (point === undefined) return home.group;
    note(into, home, point);
    const slot = home.store.find(KIND_ALIAS, bytes, start, end);
    if (slot === -1) return undefined;
    const span = home.store.locate(slot, this.#span);
    this.#alias.wrap(span.view, span.bytes, span.start, span.end);
    return this.#findAgent(maxStalenessMs, peer, into);
  }

  /** Finds the agent that the alias names, if it holds the alias' claim. */
  #findAgent(
    maxStalenessMs: number,
    peer: AuthenticatedPeer,
    into: Resolution,
  ): ReadBarrier | undefined {
    const alias = this.#alias;
    const reply = into.reply;
    const idAt = alias.agentIdOffset;
    reply.agentId = idSpan(alias.$bytes, idAt);
    reply.claim = { generation: alias.claimGeneration, index: alias.claimIndex };
    const home = this.#table.of(KIND_AGENT, alias.$bytes, idAt, idAt + UUID_BYTES);
    if (home === undefined) {
      reply.agentPart = PART_ELSEWHERE;
      return undefined;
    }
    const point = home.group.readPoint(maxStalenessMs);
    if (point === undefined) return home.group;
    note(into, home, point);
    reply.agentPart = PART_NOT_FOUND;
    const slot = home.store.find(KIND_AGENT, alias.$bytes, idAt, idAt + UUID_BYTES);
    if (slot === -1) return undefined;
    const span = home.store.locate(slot, into.agent);
    const agent = this.#agent.wrap(span.view, span.bytes, span.start, span.end);
    if (
      agent.claimIndex !== alias.claimIndex || agent.claimGeneration !== alias.claimGeneration
    ) return undefined;
    reply.agentPart = PART_INCLUDED;
    reply.agent = this.#veil.cover(peer, KIND_AGENT, span);
    reply.agentRemainingMs = leaseRemainingMs(home, slot);
    return this.#findGateway(maxStalenessMs, peer, into);
  }

  /** Finds the gateway that the agent names. */
  #findGateway(
    maxStalenessMs: number,
    peer: AuthenticatedPeer,
    into: Resolution,
  ): ReadBarrier | undefined {
    const agent = this.#agent;
    const reply = into.reply;
    const idAt = agent.gatewayIdOffset;
    if (isNilUuid(agent.$bytes, idAt)) return undefined;
    reply.gatewayId = idSpan(agent.$bytes, idAt);
    const home = this.#table.of(KIND_GATEWAY, agent.$bytes, idAt, idAt + UUID_BYTES);
    if (home === undefined) {
      reply.gatewayPart = PART_ELSEWHERE;
      return undefined;
    }
    const point = home.group.readPoint(maxStalenessMs);
    if (point === undefined) return home.group;
    note(into, home, point);
    const slot = home.store.find(KIND_GATEWAY, agent.$bytes, idAt, idAt + UUID_BYTES);
    reply.gatewayPart = slot === -1 ? PART_NOT_FOUND : PART_INCLUDED;
    if (slot === -1) return undefined;
    const span = home.store.locate(slot, into.gateway);
    reply.gateway = this.#veil.cover(peer, KIND_GATEWAY, span);
    reply.gatewayRemainingMs = leaseRemainingMs(home, slot);
    return undefined;
  }

  #notFound(out: FrameWriter, message: string): "not_found" {
    this.#replies.refusal(out, "not_found", message, NOT_FOUND_FIELDS);
    return "not_found";
  }
}

const NOT_FOUND_FIELDS = { cacheMs: NEGATIVE_CACHE_MS };

/** Returns the remaining time of a lease, whole ms, as replies carry it. */
export function leaseRemainingMs(partition: Partition, slot: number): number {
  const remaining = partition.store.remainingMs(slot, partition.group.timeMs());
  return Math.min(0xffff_ffff, Math.max(0, Math.floor(remaining)));
}

/** Returns the refusal of a request whose partition this node does not hold. */
export function notReplica(): RegistryError {
  return new RegistryError("not_replica", "This node does not hold the partition of that key");
}

function asciiText(bytes: Uint8Array, start: number, end: number): string {
  return String.fromCharCode(...bytes.subarray(start, end));
}

function idSpan(bytes: Uint8Array, start: number) {
  return { bytes, start, end: start + UUID_BYTES };
}

function note(into: Resolution, home: Partition, point: ReadPoint): void {
  into.partitions.push(home.id);
  into.points.push(point);
}

function clear(resolution: Resolution): void {
  const reply = resolution.reply;
  resolution.partitions.length = 0;
  resolution.points.length = 0;
  reply.agent = reply.gateway = NO_BYTES;
  reply.agentId = reply.gatewayId = NIL_ID;
  reply.agentRemainingMs = reply.gatewayRemainingMs = 0;
  reply.agentPart = reply.gatewayPart = PART_NONE;
  reply.claim = NO_CLAIM;
}

const NO_CLAIM = { generation: 0, index: 0 };
