/** A partition under test, with short forms for records, commands and time. */
import { commandCodec } from "../../schemas/gen/command.ts";
import {
  type Agent,
  agentCodec,
  type Extra,
  type Gateway,
  gatewayCodec,
} from "../../schemas/gen/record.ts";
import {
  encodeClaim,
  encodeConfirm,
  encodeExpire,
  encodeExtend,
  encodePut,
  encodeRaisePartitionVersion,
  encodeRelease,
  encodeRemove,
  encodeReport,
  encodeRevoke,
  encodeStale,
  encodeTick,
} from "../../src/record/command.ts";
import { firstTermOf } from "../../src/base/ids.ts";
import { NO_POSITION, type Position } from "../../src/base/position.ts";
import { domainBytes, KIND_AGENT, KIND_ALIAS, KIND_GATEWAY } from "../../src/record/key.ts";
import type { EventSink, EventType } from "../../src/store/event.ts";
import type { ApplyReply, StoredSpan } from "../../src/store/reply.ts";
import { StoreShared } from "../../src/store/shared.ts";
import { PartitionStore } from "../../src/store/store.ts";

/** Returns the id for a number. */
export function idOf(number: number): Uint8Array {
  const id = new Uint8Array(16).fill(0x40);
  new DataView(id.buffer).setUint32(12, number);
  return id;
}

/** Returns shared memory with sufficient capacity. */
export function newShared(bytesMax = 1 << 30): StoreShared {
  return new StoreShared({ bytesMax, hashSeed: new Uint8Array(16).fill(7) });
}

/** Does all of some work at once, and returns its result. */
export function finished<Result>(work: Generator<unknown, Result, undefined>): Result {
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return value;
  }
}

/** Fields of an agent. */
export type AgentFields = Partial<Agent> & { number?: number };
/** Fields of a gateway. */
export type GatewayFields = Partial<Gateway> & { number?: number };

const OWN_FIELDS = { process: 11, sequence: 1, ttlMs: 30_000, region: "global" };

/** Returns the stored form of an agent as requests contain it. */
export function agentBytes({ number = 1, ...fields }: AgentFields = {}): Uint8Array {
  return agentCodec.encode({
    ...agentCodec.empty(),
    id: idOf(number),
    ...OWN_FIELDS,
    ...fields,
  });
}

/** Returns the stored form of a gateway as requests contain it. */
export function gatewayBytes({ number = 1, ...fields }: GatewayFields = {}): Uint8Array {
  return gatewayCodec.encode({
    ...gatewayCodec.empty(),
    id: idOf(number),
    ...OWN_FIELDS,
    ...fields,
  });
}

/** Returns an Extra with labels only. */
export function extraOf(labels: Record<string, string>): Extra {
  return {
    credentialHash: new Uint8Array(0),
    labels: Object.entries(labels).map(([key, value]) => ({ key, value })),
    superseded: [],
  };
}

/** An event in a form that tests compare. */
export interface SeenEvent {
  readonly type: EventType;
  readonly kind: number;
  readonly index: number;
}

/** A store with a clock and a log. */
export class StoreHarness {
  readonly store: PartitionStore;
  readonly shared: StoreShared;
  readonly events: SeenEvent[] = [];
  readonly log: { index: number; term: number; data: Uint8Array }[] = [];
  timeMs = 0;
  unixS = 1_700_000_000;
  writer = 5;
  readonly #term: number;

  constructor({ shared = newShared(), generation = 1, partition = 0, sink }: {
    shared?: StoreShared;
    generation?: number;
    partition?: number;
    /** Receives the events instead of {@link events}. */
    sink?: EventSink;
  } = {}) {
    this.shared = shared;
    this.#term = firstTermOf(generation) + 1;
    const recording: EventSink = {
      onEvent: ({ type, kind, index }) => this.events.push({ type, kind, index }),
      onBegin: () => {},
    };
    this.store = new PartitionStore({ shared, partition, sink: sink ?? recording });
  }

  get header() {
    return { timeMs: this.timeMs, unixS: this.unixS, writer: this.writer };
  }

  /** The index of the next entry. */
  get nextIndex(): number {
    return this.store.appliedIndex + 1;
  }

  /** Applies the bytes of a command as the next entry. */
  apply(data: Uint8Array): ApplyReply {
    const entry = { index: this.nextIndex, term: this.#term, data };
    this.log.push(entry);
    return this.store.apply(entry, this.timeMs);
  }

  putAgent(fields: AgentFields = {}, expected: Position = NO_POSITION): ApplyReply {
    return this.apply(
      encodePut(this.header, { record: agentBytes(fields), kind: KIND_AGENT, expected }),
    );
  }

  putGateway(fields: GatewayFields = {}, expected: Position = NO_POSITION): ApplyReply {
    return this.apply(
      encodePut(this.header, { record: gatewayBytes(fields), kind: KIND_GATEWAY, expected }),
    );
  }

  remove(
    kind: number,
    number: number,
    incarnation: Position,
    { process = 11, sequence = 9 }: { process?: number; sequence?: number } = {},
  ): ApplyReply {
    const id = idOf(number);
    return this.apply(encodeRemove(this.header, { id, incarnation, process, sequence, kind }));
  }

  extend(kind: number, number: number, incarnation: Position, renewedAgo = 0): ApplyReply {
    return this.apply(
      encodeExtend(this.header, [{ id: idOf(number), incarnation, kind, renewedAgo }]),
    );
  }

  expire(
    kind: number,
    number: number,
    incarnation: Position,
    leaseExpiryMs: number,
    permit = 0,
  ): ApplyReply {
    return this.apply(
      encodeExpire(this.header, [{ id: idOf(number), incarnation, kind, leaseExpiryMs, permit }]),
    );
  }

  markStale(
    kind: number,
    number: number,
    incarnation: Position,
    leaseExpiryMs: number,
  ): ApplyReply {
    const item = { id: idOf(number), incarnation, kind, leaseExpiryMs, permit: 0 };
    return this.apply(encodeStale(this.header, [item]));
  }

  report(
    number: number,
    incarnation: Position,
    { kind = KIND_GATEWAY, used, state, process = 0, sequence = 0 }: {
      kind?: number;
      used?: Gateway["used"];
      state?: number;
      process?: number;
      sequence?: number;
    },
  ): ApplyReply {
    return this.apply(encodeReport(this.header, {
      id: idOf(number),
      incarnation,
      kind,
      used: used ?? { cpu: 0, memoryMiB: 0, storageMiB: 0, bandwidthMbps: 0, connections: 0 },
      state: state ?? 0,
      setUsed: used !== undefined,
      setState: state !== undefined,
      process,
      sequence,
    }));
  }

  claim(domain: string, number: number, replaces: Position = NO_POSITION): ApplyReply {
    return this.apply(encodeClaim(this.header, { domain, agentId: idOf(number), replaces }));
  }

  confirm(domain: string, number: number, claim: Position): ApplyReply {
    return this.apply(encodeConfirm(this.header, { domain, agentId: idOf(number), claim }));
  }

  revoke(number: number, claim: Position, isForAnother = false): ApplyReply {
    return this.apply(encodeRevoke(this.header, { agentId: idOf(number), claim, isForAnother }));
  }

  release(domain: string, claim: Position): ApplyReply {
    return this.apply(encodeRelease(this.header, { domain, claim }));
  }

  tick(timeMs: number): ApplyReply {
    this.timeMs = timeMs;
    return this.apply(encodeTick(this.header));
  }

  /** Raises the apply version. */
  raise(version: number): ApplyReply {
    return this.apply(encodeRaisePartitionVersion(this.header, version));
  }

  /** Applies a command of any kind without a body. */
  bare(kind: number): ApplyReply {
    return this.apply(commandCodec.encode({ ...this.header, kind }));
  }

  slotOf(kind: number, number: number): number {
    return this.store.find(kind, idOf(number), 0, 16);
  }

  agent(number: number): Agent | undefined {
    const slot = this.slotOf(KIND_AGENT, number);
    return slot === -1 ? undefined : this.store.agentView(slot).toPlain();
  }

  gateway(number: number): Gateway | undefined {
    const slot = this.slotOf(KIND_GATEWAY, number);
    return slot === -1 ? undefined : this.store.gatewayView(slot).toPlain();
  }

  alias(domain: string) {
    const key = domainBytes(domain);
    const slot = this.store.find(KIND_ALIAS, key, 0, key.length);
    return slot === -1 ? undefined : this.store.aliasView(slot).toPlain();
  }

  image(): Uint8Array {
    return imageOf(this.store);
  }
}

/** Returns a store's image in one piece. */
export function imageOf(store: PartitionStore): Uint8Array {
  const chunks = [...store.writeImage()];
  const whole = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

/** Returns a span to be filled. */
export function newSpan(): StoredSpan {
  const bytes = new Uint8Array(0);
  return { bytes, view: new DataView(bytes.buffer), start: 0, end: 0 };
}
