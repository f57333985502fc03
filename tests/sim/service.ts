/**
 * A node's handling of a request on one record: like production's read, write and renew paths, with
 * the same calls of group and store, but without admission, sessions and frames.
 *
 * Each reply is given at most once; a node that dies gives none.
 */
import { agentCodec } from "../../schemas/gen/record.ts";
import { type ErrorCode, RegistryError } from "../../src/base/errors.ts";
import { NO_POSITION, type Position } from "../../src/base/position.ts";
import { encodePut, encodeRemove } from "../../src/record/command.ts";
import type { CommandHeader } from "../../src/record/command.ts";
import { KIND_AGENT } from "../../src/record/key.ts";
import type { Group, Proposed, ReadPoint } from "../../src/replication/group_interface.ts";
import type { ApplyReply } from "../../src/store/reply.ts";
import type { PartitionStore } from "../../src/store/store.ts";
import type { Operation, OperationKind } from "./history.ts";
import type { Process } from "./machine.ts";

/** A request on one record. */
export interface Request {
  readonly kind: OperationKind;
  readonly group: number;
  readonly id: Uint8Array;
  /** The owner's process, and the write's own number: the sequence of the record. */
  readonly process: number;
  readonly value: number;
  readonly ttlMs: number;
  /** The incarnation that the request names. */
  readonly incarnation: Position;
  readonly timeoutMs: number;
}

/** A node's reply. */
export interface Reply {
  readonly code: "ok" | ErrorCode;
  readonly way: Operation["way"];
  /** Of a get: the write whose value it saw. */
  readonly value: number;
  readonly incarnation: Position;
  readonly index: number;
  readonly term: number;
  /** Of a renewal: the remaining time of the record's cover, ms. */
  readonly coverLeftMs: number;
  /** Node id; 0: not known. */
  readonly leaderHint: number;
}

/** A group on a node, as used by requests. */
export interface ServedGroup {
  readonly group: Group<ApplyReply>;
  readonly store: PartitionStore;
}

const NOTHING: Omit<Reply, "code" | "way"> = {
  value: 0,
  incarnation: NO_POSITION,
  index: 0,
  term: 0,
  coverLeftMs: 0,
  leaderHint: 0,
};

type Answer = (reply: Reply) => void;

/** Serves the requests of one run of a node. */
export class NodeService {
  readonly #process: Process;
  readonly #groupOf: (group: number) => ServedGroup | undefined;
  /** Called with the change in the number of pending promises. */
  readonly #waitsFor: (change: 1 | -1) => void;
  readonly #guard: (run: () => void) => void;
  readonly #asked: (group: number) => (term: number) => void;

  constructor(parts: {
    process: Process;
    groupOf: (group: number) => ServedGroup | undefined;
    waitsFor: (change: 1 | -1) => void;
    guard: (run: () => void) => void;
    /**
     * Called when a read waits for permission; the returned function is called with the term that
     * permitted it.
     */
    asked: (group: number) => (term: number) => void;
  }) {
    this.#process = parts.process;
    this.#groupOf = parts.groupOf;
    this.#waitsFor = parts.waitsFor;
    this.#guard = parts.guard;
    this.#asked = parts.asked;
  }

  /** Serves one request; `answer` is called at most once. */
  serve(request: Request, answer: Answer): void {
    const served = this.#groupOf(request.group);
    if (served === undefined) return answer({ ...NOTHING, way: "memory", code: "not_replica" });
    switch (request.kind) {
      case "get":
        return this.#read(
          served,
          request,
          answer,
          (point, way) => get(served, request, point, way),
        );
      case "renew":
        return this.#renew(served, request, answer);
      case "register":
      case "take_over":
        return this.#write(served, request, answer, this.#put(served, request));
      case "deregister":
        return this.#write(served, request, answer, this.#remove(served, request));
    }
  }

  #header({ group }: ServedGroup): CommandHeader {
    const unixS = Math.floor(this.#process.unixMs() / 1_000);
    return { timeMs: group.timeMs(), unixS, writer: 1 };
  }

  #put(served: ServedGroup, { id, process, value, ttlMs, incarnation }: Request): Uint8Array {
    const record = agentCodec.encode({
      ...agentCodec.empty(),
      id,
      process,
      sequence: value,
      ttlMs,
      region: "global",
    });
    return encodePut(this.#header(served), { record, kind: KIND_AGENT, expected: incarnation });
  }

  #remove(served: ServedGroup, { id, process, value, incarnation }: Request): Uint8Array {
    const body = { id, incarnation, process, sequence: value, kind: KIND_AGENT };
    return encodeRemove(this.#header(served), body);
  }

  #write(served: ServedGroup, { timeoutMs }: Request, answer: Answer, command: Uint8Array): void {
    this.#wait(served.group.propose(command, timeoutMs), (proposed: Proposed<ApplyReply>) => {
      if (!proposed.ok) return answer(refused(proposed.error, "propose"));
      const { index, outcome: { code, incarnation }, term } = proposed;
      answer({ ...NOTHING, way: "propose", code, incarnation, index, term });
    });
  }

  /** Replies with the result of `look`, once a read is permitted. */
  #read(
    { group }: ServedGroup,
    { timeoutMs }: Request,
    answer: Answer,
    look: (point: ReadPoint, way: Operation["way"]) => Reply,
  ): void {
    const point = group.readPoint(0);
    if (point !== undefined) return answer(look(point, "lease"));
    const permitted = this.#asked(group.id);
    this.#wait(group.readBarrier(0, timeoutMs), (permission: ReadPoint | RegistryError) => {
      if (permission instanceof RegistryError) return answer(refused(permission, "barrier"));
      permitted(permission.term);
      answer(look(permission, "barrier"));
    });
  }

  /** Renews in memory if the cover allows it, otherwise after one extension. */
  #renew(served: ServedGroup, request: Request, answer: Answer, isExtended = false): void {
    const { group, store } = served;
    const { id, incarnation, timeoutMs } = request;
    const reply: Reply = { ...NOTHING, way: "memory", code: "ok", incarnation };
    const renew = (): Reply => {
      const outcome = store.renew(KIND_AGENT, id, 0, incarnation, group.timeMs());
      switch (outcome) {
        case "renewed": {
          const { leaseExpiryMs } = store.agentView(store.find(KIND_AGENT, id, 0, id.length));
          return { ...reply, coverLeftMs: leaseExpiryMs - group.timeMs() };
        }
        case "not_found":
        case "superseded":
        case "not_leader":
        case "permission_denied":
          return { ...reply, code: outcome };
        case "needs_extension":
          return { ...reply, code: "overloaded" };
      }
    };
    const extend = (found: Reply) => {
      if (found.code !== "overloaded" || isExtended) return answer(found);
      const { timeMs: nowMs, unixS } = this.#header(served);
      const command = store.extendCommand({ nowMs, unixS, force: true });
      if (command === undefined) return answer(found);
      this.#wait(group.propose(command, timeoutMs), (proposed: Proposed<ApplyReply>) => {
        if (!proposed.ok) return answer(refused(proposed.error, "memory"));
        this.#renew(served, request, answer, true);
      });
    };
    this.#read(served, request, extend, renew);
  }

  #wait<T>(promise: Promise<T>, settled: (value: T) => void): void {
    this.#waitsFor(1);
    promise.then((value) => {
      if (!this.#process.isAlive) return;
      this.#waitsFor(-1);
      this.#guard(() => settled(value));
    });
  }
}

function get(
  { store }: ServedGroup,
  { id }: Request,
  { appliedIndex: index, term }: ReadPoint,
  way: Operation["way"],
): Reply {
  const slot = store.find(KIND_AGENT, id, 0, id.length);
  if (slot === -1) return { ...NOTHING, way, code: "not_found", index, term };
  const { sequence: value } = store.agentView(slot);
  return {
    ...NOTHING,
    way,
    code: "ok",
    value,
    incarnation: store.incarnationOf(slot),
    index,
    term,
  };
}

function refused({ code, fields }: RegistryError, way: Operation["way"]): Reply {
  return { ...NOTHING, way, code, leaderHint: fields.leaderHint ?? 0 };
}
