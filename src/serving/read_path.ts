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
import type { Group } from "../replication/group_interface.ts";
import { emptySpan } from "../store/reply.ts";
import type { CredentialRedaction } from "./credential_redaction.ts";
import { leaseRemainingMs } from "./lease_times.ts";
import type { PartitionTable } from "./partitions.ts";
import {
  permitting,
  pointOf,
  type ReadAnswer,
  type ReadBarrier,
  type ReadPermits,
} from "./read_answer.ts";
import type { ReplyWriter } from "./reply_writer.ts";
import { clearResolution, newResolution, noteRead, type Resolution } from "./resolution.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** The means by which a read is permitted. */
export interface ReadBy {
  readonly maxStalenessMs: number;
  readonly permits: ReadPermits | undefined;
}

/** Answers reads of one key. One instance serves all streams of a node. */
export class ReadPath {
  readonly #table: PartitionTable;
  readonly #replies: ReplyWriter;
  readonly #redaction: CredentialRedaction;
  readonly #idRequest = idRequestCodec.newView();
  readonly #resolveRequest = resolveRequestCodec.newView();
  readonly #alias = aliasCodec.newView();
  readonly #agent = agentCodec.newView();
  readonly #span = emptySpan();
  readonly #record: Mutable<Input<RecordReply>> = { record: this.#span, remainingMs: 0 };
  readonly #resolution = newResolution();

  constructor(table: PartitionTable, replies: ReplyWriter, redaction: CredentialRedaction) {
    this.#table = table;
    this.#replies = replies;
    this.#redaction = redaction;
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
    const point = pointOf(partition.group, request.maxStalenessMs, permits);
    if (point === undefined) return permitting(partition.group, request.maxStalenessMs);

    this.#replies.begin(request.id);
    this.#replies.addReceipt(partition.id, point);
    const slot = partition.store.find(kind, bytes, start, end);
    if (slot === -1) {
      const id = formatUuid(bytes, start);
      return this.#notFound(out, `No ${recordKindName(kind)} has the id ${id}`);
    }
    this.#record.record = this.#redaction.redact(
      peer,
      kind,
      partition.store.locate(slot, this.#span),
    );
    this.#record.remainingMs = leaseRemainingMs(partition, slot);
    this.#replies.success(out, recordReplyCodec, this.#record);
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
    const by = { maxStalenessMs: request.maxStalenessMs, permits };
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
    const slot = home.store.find(KIND_ALIAS, bytes, start, end);
    if (slot === -1) return undefined;
    const span = home.store.locate(slot, this.#span);
    this.#alias.wrap(span.view, span.bytes, span.start, span.end);
    return this.#findAgent(by, peer, into);
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
    const slot = home.store.find(KIND_GATEWAY, agent.$bytes, idAt, idAt + UUID_BYTES);
    reply.gatewayPart = slot === -1 ? RESOLVED_PARTS.notFound : RESOLVED_PARTS.included;
    if (slot === -1) return undefined;
    const span = home.store.locate(slot, into.gateway);
    reply.gateway = this.#redaction.redact(peer, KIND_GATEWAY, span);
    reply.gatewayRemainingMs = leaseRemainingMs(home, slot);
    return undefined;
  }

  #notFound(out: FrameWriter, message: string): "not_found" {
    this.#replies.refusal(out, "not_found", message, NOT_FOUND_FIELDS);
    return "not_found";
  }
}

const NOT_FOUND_FIELDS = { cacheMs: NEGATIVE_CACHE_MS };

/** Reports whether a part is to be fetched from another node, as this one does not permit the read. */
function isElsewhere(group: Group<unknown>, { maxStalenessMs }: ReadBy): boolean {
  return group.readElsewhere(maxStalenessMs) !== undefined;
}

function asciiText(bytes: Uint8Array, start: number, end: number): string {
  return String.fromCharCode(...bytes.subarray(start, end));
}

function idSpan(bytes: Uint8Array, start: number) {
  return { bytes, start, end: start + UUID_BYTES };
}
