/**
 * The read path: request → partition → permission to read now → the stored bytes, embedded with a
 * receipt. Nothing is decoded and nothing is allocated for a record; a reply is appended to the
 * stream's buffer and is sent with its chunk (request_stream.ts).
 *
 * A handler that lacks a group's permission writes nothing and returns that group; the router
 * waits for its barrier and calls the handler again. Where another node leads the partition of the key,
 * the read is refused with that node as the hint. Every part of an answer carries the receipt of the
 * partition it came from; a part that another node holds or leads is given as its id, for the client to
 * fetch.
 */
import {
  type HomeRegionView,
  idRequestCodec,
  type RecordReply,
  recordReplyCodec,
  type RequestView,
  RESOLVED_PARTS,
  resolveReplyCodec,
  resolveRequestCodec,
} from "../../schemas/gen/wire.ts";
import { agentCodec, aliasCodec } from "../../schemas/gen/record.ts";
import type { FrameWriter, Input } from "../../schemas/runtime/writer.ts";
import { NEGATIVE_CACHE_MS } from "../base/limits.ts";
import type { AuthenticatedPeer } from "../base/peer.ts";
import { formatUuid, isNilUuid, UUID_BYTES } from "../base/uuid.ts";
import { canonicalDomainBytes } from "../record/domain.ts";
import { KIND_AGENT, KIND_ALIAS, KIND_GATEWAY } from "../record/key.ts";
import { type RecordKind, recordKindName } from "../record/kinds.ts";
import { emptySpan } from "../store/reply.ts";
import type { CredentialRedaction } from "./credential_redaction.ts";
import { leaseRemainingMs } from "./lease_times.ts";
import { MirroredResolution } from "./mirrored_resolution.ts";
import type { Partition, PartitionTable } from "./partitions.ts";
import type { ReadPoint } from "../replication/group_interface.ts";
import {
  permitting,
  pointOf,
  type ReadAnswer,
  type ReadBarrier,
  type ReadPermits,
} from "./read_answer.ts";
import type { ReplyWriter } from "./reply_writer.ts";
import { isElsewhere, type ReadBy } from "./read_by.ts";
import { ReadLimits } from "./read_limits.ts";
import type { AskedHome, MirrorHomes } from "./regions/mirror_homes.ts";
import { clearResolution, newResolution, noteRead, type Resolution } from "./resolution.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Answers reads of one key. One instance serves all streams of a node. */
export class ReadPath {
  readonly #table: PartitionTable;
  readonly #replies: ReplyWriter;
  readonly #redaction: CredentialRedaction;
  readonly #homes: MirrorHomes;
  readonly #limits = new ReadLimits();
  readonly #mirrored: MirroredResolution;
  readonly #idRequest = idRequestCodec.newView();
  readonly #resolveRequest = resolveRequestCodec.newView();
  readonly #alias = aliasCodec.newView();
  readonly #agent = agentCodec.newView();
  readonly #span = emptySpan();
  readonly #record: Mutable<Input<RecordReply>> = {
    record: this.#span,
    remainingMs: 0,
    source: undefined,
  };
  readonly #resolution = newResolution();

  constructor(
    table: PartitionTable,
    replies: ReplyWriter,
    redaction: CredentialRedaction,
    homes: MirrorHomes,
  ) {
    this.#table = table;
    this.#replies = replies;
    this.#redaction = redaction;
    this.#homes = homes;
    this.#mirrored = new MirroredResolution(table, redaction, homes, this.#limits);
  }

  /** Answers GetAgent and GetGateway. */
  get(
    kind: RecordKind,
    request: RequestView,
    out: FrameWriter,
    peer: AuthenticatedPeer,
    permits?: ReadPermits,
  ): ReadAnswer {
    const body = request.bodyInto(this.#idRequest);
    const bytes = body.$bytes;
    const start = body.idOffset;
    const end = start + UUID_BYTES;
    const partition = this.#table.held(kind, bytes, start, end);
    const asked = body.hasHome ? askedOf(this.#homes, body.home) : this.#homes.any;
    const point = pointOf(partition.group, request.maxStalenessMs, permits);
    if (point === undefined) return permitting(partition.group, request.maxStalenessMs);

    this.#replies.begin(request.id);
    this.#replies.addReceipt(partition.id, point);
    const slot = asked.own ? partition.store.find(kind, bytes, start, end) : -1;
    if (slot === -1) {
      return this.#getMirror(partition, point, { kind, bytes, start }, asked, out, peer);
    }
    const span = partition.store.locate(slot, this.#span);
    if (!this.#limits.permit(peer, kind, span)) return this.#noRecord(out, kind, bytes, start);
    this.#record.record = this.#redaction.redact(peer, kind, span);
    this.#record.remainingMs = leaseRemainingMs(partition, slot);
    this.#replies.success(out, recordReplyCodec, this.#record);
    return "ok";
  }

  /** Answers with the mirror of a record of which there is no own one. */
  #getMirror(
    { store }: Partition,
    { ageBoundMs }: ReadPoint,
    { kind, bytes, start }: {
      readonly kind: RecordKind;
      readonly bytes: Uint8Array;
      readonly start: number;
    },
    { mirrors }: AskedHome,
    out: FrameWriter,
    peer: AuthenticatedPeer,
  ): ReadAnswer {
    const slot = mirrors === undefined || store.mirrors.isEmpty
      ? -1
      : store.mirrors.find(kind, bytes, start, mirrors);
    if (slot === -1) return this.#noRecord(out, kind, bytes, start);
    const span = store.mirrors.locate(slot, this.#span);
    if (!this.#limits.permit(peer, kind, span)) return this.#noRecord(out, kind, bytes, start);
    this.#replies.success(out, recordReplyCodec, {
      record: this.#redaction.redact(peer, kind, span),
      remainingMs: 0,
      source: this.#homes.sourceOf(store.mirrors.view(slot), ageBoundMs),
    });
    return "ok";
  }

  /** Answers ResolveAgent: the agent that holds a domain, and its gateway. */
  resolve(
    request: RequestView,
    out: FrameWriter,
    peer: AuthenticatedPeer,
    permits?: ReadPermits,
  ): ReadAnswer {
    const body = request.bodyInto(this.#resolveRequest);
    const { bytes, start, end } = canonicalDomainBytes(
      body.$bytes,
      body.domainOffset,
      body.domainLength,
    );
    const resolution = this.#resolution;
    const asked = body.hasHome ? askedOf(this.#homes, body.home) : this.#homes.any;
    const by = { maxStalenessMs: request.maxStalenessMs, permits, asked };
    const waiting = this.find(bytes, start, end, by, peer, resolution);
    if (waiting !== undefined) return waiting;

    this.#replies.begin(request.id);
    for (let part = 0; part < resolution.points.length; part++) {
      this.#replies.addReceipt(resolution.partitions[part]!, resolution.points[part]!);
    }
    const part = resolution.reply.agentPart;
    if (part !== RESOLVED_PARTS.included && part !== RESOLVED_PARTS.elsewhere) {
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
    by: ReadBy,
    peer: AuthenticatedPeer,
    into: Resolution,
  ): ReadBarrier | undefined {
    clearResolution(into);
    const home = this.#table.held(KIND_ALIAS, bytes, start, end);
    const point = pointOf(home.group, by.maxStalenessMs, by.permits);
    if (point === undefined) return permitting(home.group, by.maxStalenessMs);
    noteRead(into, home, point);
    const slot = by.asked.own ? home.store.find(KIND_ALIAS, bytes, start, end) : -1;
    if (slot !== -1) {
      const span = home.store.locate(slot, this.#span);
      this.#alias.wrap(span.view, span.bytes, span.start, span.end);
      const waiting = this.#findAgent(by, peer, into);
      if (waiting !== undefined || into.reply.agentPart === RESOLVED_PARTS.included) return waiting;
    }
    return home.store.mirrors.isEmpty
      ? undefined
      : this.#findMirrored(home, { bytes, start, end }, by, peer, into);
  }

  /** Finds the agent of another region that holds the domain, and its gateway. */
  #findMirrored(
    home: Partition,
    domain: { readonly bytes: Uint8Array; readonly start: number; readonly end: number },
    by: ReadBy,
    peer: AuthenticatedPeer,
    into: Resolution,
  ): ReadBarrier | undefined {
    const waiting = this.#mirrored.find(home, domain, by, peer, into);
    if (waiting !== undefined || into.reply.agentPart !== RESOLVED_PARTS.included) return waiting;
    const { view, bytes, start, end } = into.agent;
    this.#agent.wrap(view, bytes, start, end);
    return this.#findGateway(by, peer, into);
  }

  /** Finds the agent that the alias names, if it holds the alias' claim. */
  #findAgent(
    by: ReadBy,
    peer: AuthenticatedPeer,
    into: Resolution,
  ): ReadBarrier | undefined {
    const alias = this.#alias;
    const reply = into.reply;
    const idAt = alias.agentIdOffset;
    reply.agentId = idSpan(alias.$bytes, idAt);
    reply.claim = { generation: alias.claimGeneration, index: alias.claimIndex };
    const home = this.#table.of(KIND_AGENT, alias.$bytes, idAt, idAt + UUID_BYTES);
    const point = home.isHere ? pointOf(home.group, by.maxStalenessMs, by.permits) : undefined;
    if (!home.isHere || (point === undefined && isElsewhere(home.group, by))) {
      reply.agentPart = RESOLVED_PARTS.elsewhere;
      return undefined;
    }
    if (point === undefined) return home.group;
    noteRead(into, home, point);
    reply.agentPart = RESOLVED_PARTS.notFound;
    const slot = home.store.find(KIND_AGENT, alias.$bytes, idAt, idAt + UUID_BYTES);
    if (slot === -1) return undefined;
    const span = home.store.locate(slot, into.agent);
    const agent = this.#agent.wrap(span.view, span.bytes, span.start, span.end);
    if (
      agent.claimIndex !== alias.claimIndex || agent.claimGeneration !== alias.claimGeneration
    ) return undefined;
    if (!this.#limits.permit(peer, KIND_AGENT, span)) return undefined;
    reply.agentPart = RESOLVED_PARTS.included;
    reply.agent = this.#redaction.redact(peer, KIND_AGENT, span);
    reply.agentRemainingMs = leaseRemainingMs(home, slot);
    return this.#findGateway(by, peer, into);
  }

  /** Finds the gateway that the agent names. */
  #findGateway(
    by: ReadBy,
    peer: AuthenticatedPeer,
    into: Resolution,
  ): ReadBarrier | undefined {
    const agent = this.#agent;
    const reply = into.reply;
    const idAt = agent.gatewayIdOffset;
    if (isNilUuid(agent.$bytes, idAt)) return undefined;
    reply.gatewayId = idSpan(agent.$bytes, idAt);
    const home = this.#table.of(KIND_GATEWAY, agent.$bytes, idAt, idAt + UUID_BYTES);
    const point = home.isHere ? pointOf(home.group, by.maxStalenessMs, by.permits) : undefined;
    if (!home.isHere || (point === undefined && isElsewhere(home.group, by))) {
      reply.gatewayPart = RESOLVED_PARTS.elsewhere;
      return undefined;
    }
    if (point === undefined) return home.group;
    noteRead(into, home, point);
    const slot = by.asked.own
      ? home.store.find(KIND_GATEWAY, agent.$bytes, idAt, idAt + UUID_BYTES)
      : -1;
    if (slot === -1) {
      this.#includeMirroredGateway(home, point, { bytes: agent.$bytes, idAt }, by, peer, into);
      return undefined;
    }
    reply.gatewayPart = RESOLVED_PARTS.notFound;
    const span = home.store.locate(slot, into.gateway);
    if (!this.#limits.permit(peer, KIND_GATEWAY, span)) return undefined;
    reply.gatewayPart = RESOLVED_PARTS.included;
    reply.gateway = this.#redaction.redact(peer, KIND_GATEWAY, span);
    reply.gatewayRemainingMs = leaseRemainingMs(home, slot);
    return undefined;
  }

  /** Includes the mirror of a gateway of which there is no own record. */
  #includeMirroredGateway(
    { store }: Partition,
    { ageBoundMs }: ReadPoint,
    { bytes, idAt }: { readonly bytes: Uint8Array; readonly idAt: number },
    { asked: { mirrors } }: ReadBy,
    peer: AuthenticatedPeer,
    { reply, gateway }: Resolution,
  ): void {
    reply.gatewayPart = RESOLVED_PARTS.notFound;
    if (mirrors === undefined || store.mirrors.isEmpty) return;
    const slot = store.mirrors.find(KIND_GATEWAY, bytes, idAt, mirrors);
    if (slot === -1) return;
    const span = store.mirrors.locate(slot, gateway);
    if (!this.#limits.permit(peer, KIND_GATEWAY, span)) return;
    reply.gatewayPart = RESOLVED_PARTS.included;
    reply.gatewaySource = this.#homes.sourceOf(store.mirrors.view(slot), ageBoundMs);
    reply.gateway = this.#redaction.redact(peer, KIND_GATEWAY, span);
  }

  #noRecord(out: FrameWriter, kind: RecordKind, bytes: Uint8Array, start: number): "not_found" {
    const id = formatUuid(bytes, start);
    return this.#notFound(out, `No ${recordKindName(kind)} has the id ${id}`);
  }

  #notFound(out: FrameWriter, message: string): "not_found" {
    this.#replies.refusal(out, "not_found", message, NOT_FOUND_FIELDS);
    return "not_found";
  }
}

const NOT_FOUND_FIELDS = { cacheMs: NEGATIVE_CACHE_MS };

/** Returns the records that a request with a region asks for. @throws RegistryError `invalid_argument`. */
export function askedOf(homes: MirrorHomes, { $bytes, nameOffset, nameLength }: HomeRegionView) {
  return homes.asked($bytes, nameOffset, nameOffset + nameLength);
}

function asciiText(bytes: Uint8Array, start: number, end: number): string {
  return String.fromCharCode(...bytes.subarray(start, end));
}

function idSpan(bytes: Uint8Array, start: number) {
  return { bytes, start, end: start + UUID_BYTES };
}
