/** Views: defaults of shorter sections, text, lists, depth, the traversal budget, patches in place. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import { POINTER_DEPTH_MAX } from "../../../src/base/limits.ts";
import {
  type Agent,
  agentCodec,
  AgentView,
  extraCodec,
  LabelView,
} from "../../../schemas/gen/record.ts";
import {
  idRequestCodec,
  IdRequestView,
  requestCodec,
  RequestView,
  resolveManyRequestCodec,
  ResolveManyRequestView,
  resolveRequestCodec,
} from "../../../schemas/gen/wire.ts";
import { type StructView, traversalStepsMax } from "../../../schemas/runtime.ts";

function wrap<V extends StructView>(view: V, bytes: Uint8Array): V {
  return view.wrap(new DataView(bytes.buffer, bytes.byteOffset), bytes, 0, bytes.length);
}

function refuses(run: () => unknown, pattern: RegExp): void {
  try {
    run();
  } catch (error) {
    assert.instance(error, RegistryError);
    assert.is((error as RegistryError).code, "malformed");
    assert.match((error as RegistryError).message, pattern);
    return;
  }
  assert.unreachable("Not refused");
}

function words32(...halves: number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 * halves.length));
  for (const [index, half] of halves.entries()) view.setUint32(4 * index, half >>> 0, true);
  return new Uint8Array(view.buffer);
}

function agent(): Agent {
  return {
    ...agentCodec.empty(),
    id: Uint8Array.from({ length: 16 }, (_, index) => index + 1),
    process: Number.MAX_SAFE_INTEGER,
    port: 4_000,
    state: 1,
    domain: "a1.example",
    region: "zürich",
    extra: {
      credentialHash: Uint8Array.of(1, 2, 3),
      labels: [{ key: "a", value: "1" }, { key: "b", value: "2" }],
      superseded: [],
    },
  };
}

/** Returns a message whose root has one pointer, to a byte list. */
function withBytes(bytes: number[], size = 2): Uint8Array {
  const padded = Uint8Array.from({ length: (bytes.length + 7) & ~7 }, (_, i) => bytes[i] ?? 0);
  const head = words32(0, 1 << 16, 1, (bytes.length << 3) | size);
  return Uint8Array.of(...head, ...padded);
}

test("view reads every field where it was written, and copies nothing of Data", () => {
  const bytes = agentCodec.encode(agent());
  const view = wrap(new AgentView(), bytes);
  assert.equal(view.id, agent().id);
  assert.is(view.idOffset, 8);
  assert.ok(view.idEquals(agent().id));
  assert.not(view.gatewayIdEquals(agent().id));
  assert.is(view.process, Number.MAX_SAFE_INTEGER);
  assert.is(view.domain, "a1.example");
  assert.equal(view.domainBytes, new TextEncoder().encode("a1.example"));
  assert.is(bytes[view.regionOffset], "z".charCodeAt(0));
  assert.is(view.regionLength, 7);
  assert.is(view.hasExtra, true);
  assert.is(view.extra.labels.count, 2);
  assert.is(view.extra.labels.at(1).key, "b");
  const mine = new LabelView();
  assert.is(view.extra.labels.at(0, mine), mine);
  assert.is(mine.value, "1");
  assert.is(view.extra.credentialHash.buffer, bytes.buffer);
  assert.is(view.extra.credentialHashLength, 3);
});

test("view reads defaults beyond a section that an older writer made shorter", () => {
  const empty = wrap(new AgentView(), words32(-4, 0));
  assert.equal(empty.toPlain(), agentCodec.empty());
  const idOnly = wrap(new AgentView(), words32(0, 1, 7, 0));
  assert.equal(idOnly.id, Uint8Array.of(7, ...new Uint8Array(15)));
  assert.ok(idOnly.idEquals(Uint8Array.of(7, ...new Uint8Array(15))));
  refuses(() => idOnly.idOffset, /must hold 16 bytes: found 8/);
  assert.is(idOnly.hasExtra, false);
  assert.is(idOnly.extra.labels.count, 0);
});

test("view reads past a longer section of a newer writer", () => {
  const bytes = words32(0, 3 | (1 << 16), 1, 2, 3, 4, 5, 6, 0, 0);
  assert.equal(
    wrap(new IdRequestView(), bytes).id,
    new Uint8Array(words32(1, 2, 3, 4).buffer),
  );
});

test("view refuses a segment that is no whole words or has none", () => {
  refuses(() => wrap(new AgentView(), new Uint8Array(0)), /one or more words/);
  refuses(() => wrap(new AgentView(), new Uint8Array(12)), /found 12 bytes/);
  assert.throws(
    () => new AgentView().wrap(new DataView(new ArrayBuffer(8)), new Uint8Array(8), 0, 16),
    (error: unknown) => error instanceof RangeError,
  );
});

test("view refuses a root that is a list, a far pointer or a capability", () => {
  for (const [kind, name] of [[1, "list"], [2, "far"], [3, "capability"]] as const) {
    refuses(
      () => wrap(new AgentView(), words32(kind, 8)),
      new RegExp(`must be a struct pointer: found a ${name}`),
    );
  }
});

test("view refuses a struct that begins before or ends after its segment", () => {
  refuses(() => wrap(new AgentView(), words32(0, 2, 0, 0)), /stay inside its segment of 16 bytes/);
  refuses(() => wrap(new AgentView(), words32(-8, 1, 0, 0)), /points to \[-8/);
  refuses(() => wrap(new AgentView(), words32(0x7fff_fffc, 1, 0, 0)), /stay inside/);
});

test("a view has no position after a refusal", () => {
  const view = wrap(new AgentView(), agentCodec.encode(agent()));
  refuses(() => wrap(view, words32(0, 9, 0, 0)), /stay inside/);
  assert.is(view.port, 0);
  assert.is(view.domain, "");
});

test("view refuses an integer above 2^53 - 1", () => {
  const bytes = agentCodec.encode(agent());
  new DataView(bytes.buffer).setUint32(8 + 48 + 4, 0x20_0000, true);
  refuses(() => wrap(new AgentView(), bytes).process, /2\^53 - 1/);
});

test("text view refuses what is not UTF-8, has no NUL, or is no byte list", () => {
  refuses(() => resolveRequestCodec.decode(withBytes([0xc3, 0x28, 0])), /must be UTF-8/);
  refuses(() => resolveRequestCodec.decode(withBytes([0xed, 0xa0, 0x80, 0])), /must be UTF-8/);
  refuses(() => resolveRequestCodec.decode(withBytes([97, 98])), /must end with NUL/);
  refuses(() => resolveRequestCodec.decode(withBytes([])), /must end with NUL/);
  refuses(() => resolveRequestCodec.decode(withBytes([97, 0], 3)), /size 2: found 3/);
  refuses(() => resolveRequestCodec.decode(words32(0, 1 << 16, 1, 0x7ffffffa)), /stay inside/);
});

test("text view keeps a byte order mark, NUL inside, and long text", () => {
  for (const domain of ["\ufeffa", "a\0b", "x".repeat(500), "ä".repeat(40), "😀"]) {
    assert.is(resolveRequestCodec.decode(resolveRequestCodec.encode({ domain })).domain, domain);
  }
});

test("list view refuses a count that its words do not hold", () => {
  const labels = (tag: number, sizes: number, words: number) =>
    words32(0, 3 << 16, 0, 0, 5, (words << 3) | 7, 0, 0, tag, sizes, 0, 0, 0, 0);
  refuses(() => extraCodec.decode(labels(3 << 2, 1 << 16, 2)), /claims 3 of 1 words/);
  refuses(() => extraCodec.decode(labels(1 | (1 << 2), 1 << 16, 2)), /kind 1/);
  refuses(() => extraCodec.decode(labels(1 << 2, 1 << 16, 3)), /stay inside/);
  refuses(() => extraCodec.decode(labels(1 << 2, 1 << 16, 0x1fff_ffff)), /stay inside/);
});

test("list view refuses 2^29 elements that take no bytes", () => {
  const bytes = words32(0, 3 << 16, 0, 0, 5, 7, 0, 0, 0xffff_fffc, 0);
  const view = wrap(extraCodec.newView(), bytes);
  refuses(() => view.labels.count, /readable in \d+ steps/);
});

test("list view refuses Text elements without NUL, and reads absent ones as empty", () => {
  const bytes = resolveManyRequestCodec.encode({ domains: ["a", "", "c"] });
  assert.equal(resolveManyRequestCodec.decode(bytes).domains, ["a", "", "c"]);
  bytes[bytes.indexOf("c".charCodeAt(0)) + 1] = 1;
  refuses(() => resolveManyRequestCodec.decode(bytes), /must end with NUL/);
});

test("list view refuses an index beyond its count as the caller's mistake", () => {
  const view = wrap(new AgentView(), agentCodec.encode(agent()));
  for (const index of [-1, 2, Number.NaN]) {
    assert.throws(
      () => view.extra.labels.at(index),
      (error: unknown) => error instanceof RangeError,
    );
  }
});

test("view refuses pointers that nest deeper than the limit", () => {
  // An envelope whose body is itself; each body is one pointer deeper.
  const bytes = words32(0, 1 << 16, -2 << 2, 1 << 16);
  let view = wrap(new RequestView(), bytes);
  const deeper = () => {
    view = view.bodyInto(new RequestView());
  };
  for (let depth = 0; depth < POINTER_DEPTH_MAX; depth++) deeper();
  refuses(deeper, new RegExp(`at most ${POINTER_DEPTH_MAX} deep`));
});

test("view refuses text that overlaps in a list, in steps bounded by the message", () => {
  // 500 elements that all point to one text of 4,000 bytes.
  const count = 500;
  const text = new Uint8Array(4_000).fill(97);
  text[text.length - 1] = 0;
  const head = [0, 1 << 16, 1, (count << 3) | 6];
  for (let index = 0; index < count; index++) {
    head.push(((count - index - 1) << 2) | 1, (text.length << 3) | 2);
  }
  const bytes = Uint8Array.of(...words32(...head), ...text);
  refuses(() => resolveManyRequestCodec.decode(bytes), /readable in \d+ steps/);
  const view = wrap(new ResolveManyRequestView(), bytes);
  let shown = 0;
  refuses(() => {
    for (let index = 0; index < count; index++) shown += view.domains.bytesAt(index).length;
  }, /readable in \d+ steps/);
  assert.ok(shown <= 32 * traversalStepsMax(bytes.length));
});

test("view reads an honest record hundreds of times within its budget", () => {
  const view = wrap(new AgentView(), agentCodec.encode(agent()));
  for (let turn = 0; turn < 200; turn++) assert.is(view.domain, "a1.example");
});

test("view pays for each struct that it follows", () => {
  const bytes = agentCodec.encode(agent());
  const view = wrap(new AgentView(), bytes);
  let followed = 0;
  refuses(() => {
    for (; followed < 1_000_000; followed++) assert.is(view.extra.credentialHashLength, 3);
  }, /readable in \d+ steps/);
  assert.is(followed, traversalStepsMax(bytes.length));
  assert.is(wrap(view, bytes).extra.credentialHashLength, 3);
});

test("view reads the body of an envelope, and tells where there is none", () => {
  const id = agent().id;
  const value = { ...requestCodec.empty(), id: 5 };
  const with_ = wrap(new RequestView(), requestCodec.encode(value, idRequestCodec, { id }));
  assert.is(with_.hasBody, true);
  assert.equal(with_.bodyInto(new IdRequestView()).id, id);
  const without = wrap(new RequestView(), requestCodec.encode(value));
  assert.is(without.hasBody, false);
  assert.equal(without.bodyInto(new IdRequestView()).id, new Uint8Array(16));
});

test("view patches numbers and fixed bytes in place, and nothing beside them", () => {
  const bytes = agentCodec.encode(agent());
  const view = wrap(new AgentView(), bytes);
  view.leaseExpiryMs = Number.MAX_SAFE_INTEGER - 1;
  view.revisionGeneration = 0xffff_ffff;
  view.state = 0;
  view.gatewayId = new Uint8Array(16).fill(9);
  assert.equal(agentCodec.decode(bytes), {
    ...agent(),
    leaseExpiryMs: Number.MAX_SAFE_INTEGER - 1,
    revision: { generation: 0xffff_ffff, index: 0 },
    state: 0,
    gatewayId: new Uint8Array(16).fill(9),
  });
});

test("view refuses a patch that the type or the section does not hold", () => {
  const view = wrap(new AgentView(), agentCodec.encode(agent()));
  const patches: (() => void)[] = [
    () => view.port = 65_536,
    () => view.port = -1,
    () => view.port = 1.5,
    () => view.leaseExpiryMs = 2 ** 53,
    () => view.leaseExpiryMs = Number.NaN,
    () => view.id = new Uint8Array(15),
    () => wrap(new AgentView(), words32(0, 1, 7, 0)).port = 1,
  ];
  for (const patch of patches) {
    assert.throws(patch, (error: unknown) => error instanceof RangeError);
  }
  assert.is(view.port, 4_000);
});

test.run();
