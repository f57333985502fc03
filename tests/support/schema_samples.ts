/**
 * Encoded messages that seed a fuzz run: hand-written ones with every kind of pointer, which need
 * no outside program, and arbitrary ones of every struct if the schemas can be compiled.
 */
import * as fc from "fast-check";
import { agentCodec } from "../../schemas/gen/record.ts";
import {
  listReplyCodec,
  registerManyReplyCodec,
  registerReplyCodec,
  requestCodec,
  resolveManyReplyCodec,
  resolveManyRequestCodec,
  resolveReplyCodec,
  responseCodec,
  ringMapCodec,
} from "../../schemas/gen/wire.ts";
import { type AnyCodec, codecOf, STRUCTS, structValues } from "./schemas.ts";

/** A segment and its codec. */
export interface Sample {
  readonly codec: AnyCodec;
  readonly segment: Uint8Array;
}

function handMade(): Sample[] {
  const id = Uint8Array.from({ length: 16 }, (_, index) => 16 - index);
  const labels = [{ key: "zone", value: "a" }, { key: "rack", value: "zürich" }];
  const superseded = [{ process: 1, untilMs: 2 }, { process: 3, untilMs: 4 }];
  const extra = { credentialHash: new Uint8Array(32).fill(7), labels, superseded };
  const agent = { ...agentCodec.empty(), id, domain: "a1.example", region: "global", extra };
  const record = agentCodec.encode(agent);
  const receipts = [{ appliedIndex: 9, term: 3, node: 1, partition: 5, ageBoundMs: 20 }];
  const reply = { ...resolveReplyCodec.empty(), agent: record, agentId: id };
  const resolved = { items: [{ reply, code: 0, cacheMs: 0, receipts }] };
  const addresses = [{ transport: "quic", host: "10.0.0.1", port: 4_433 }];
  const nodes = [{ nodeId: 1, addresses, currentPin: id, nextPin: new Uint8Array(0), zone: "a" }];
  const ringMap = {
    ...ringMapCodec.empty(),
    nodes,
    placements: [{ leader: 1, replicas: [1, 2, 3] }],
  };
  const outcome = { ...registerReplyCodec.empty(), id, code: 12, message: "taken" };
  const domains = { domains: ["a.example", "b.example", ""] };
  const page = { items: [{ record, remainingMs: 5 }], nextCursor: id };
  const response = { ...responseCodec.empty(), message: "m", receipts };
  return ([
    ["Agent", record],
    ["ResolveManyReply", resolveManyReplyCodec.encode(resolved)],
    ["RingMap", ringMapCodec.encode(ringMap)],
    ["RegisterManyReply", registerManyReplyCodec.encode({ items: [outcome, outcome] })],
    ["ListReply", listReplyCodec.encode(page)],
    ["ResolveManyRequest", resolveManyRequestCodec.encode(domains)],
    [
      "Request",
      requestCodec.encode(requestCodec.empty(), resolveManyRequestCodec, domains),
    ],
    ["Response", responseCodec.encode(response, listReplyCodec, page)],
  ] as const).map(([name, segment]) => ({ codec: codecOf(name), segment }));
}

/** Returns the samples, the same in every run. */
export function samples(perStruct: number): Sample[] {
  const made = handMade();
  for (const struct of STRUCTS.values()) {
    const codec = codecOf(struct.name);
    const values = structValues(struct, { full: false });
    for (const value of fc.sample(values, { seed: 2_026, numRuns: perStruct })) {
      made.push({ codec, segment: codec.encode(value) });
    }
  }
  return made;
}
