/** MirrorReads: the mirror that a choice among regions prefers. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { domainBytes, KIND_AGENT, KIND_GATEWAY } from "../../../../src/record/key.ts";
import type { MirrorChoice } from "../../../../src/store/mirrors/mirror_reads.ts";
import { agentPut, aliasItem, MirrorHarness } from "../../../support/mirrors.ts";
import { agentBytes, idOf, newSpan } from "../../../support/store.ts";

/** Returns a choice that prefers regions in this order, and serves no others. */
function preferring(...names: string[]): MirrorChoice {
  return {
    rankOf: (bytes, start, end) => {
      const at = names.indexOf(new TextDecoder().decode(bytes.subarray(start, end)));
      return at === -1 ? Infinity : at;
    },
  };
}

function ofThreeRegions(): MirrorHarness {
  const harness = new MirrorHarness();
  ["us", "ap", "eu"].forEach((home, index) => {
    harness.fence(1, { home });
    const puts = [agentPut(5, { port: index + 1, region: home })];
    const aliases = [aliasItem("a.example", index + 1, {})];
    harness.batch({ home, number: 1, puts, aliases });
  });
  return harness;
}

test("MirrorReads.find returns the best of a record's mirrors, and none of unknown regions", () => {
  const { store } = ofThreeRegions();
  const homeOf = (...names: string[]) => {
    const slot = store.mirrors.find(KIND_AGENT, idOf(1), 0, preferring(...names));
    return slot === -1 ? undefined : store.mirrors.view(slot).home;
  };
  assert.is(homeOf("ap", "us", "eu"), "ap");
  assert.is(homeOf("eu", "ap"), "eu");
  assert.is(homeOf("us"), "us");
  assert.is(homeOf("xx"), undefined);
  assert.is(store.mirrors.find(KIND_GATEWAY, idOf(1), 0, preferring("us")), -1);
  assert.is(store.mirrors.find(KIND_AGENT, idOf(2), 0, preferring("us")), -1);
});

test("MirrorReads.aliases returns the served aliases of a domain, the best first", () => {
  const { store } = ofThreeRegions();
  const key = domainBytes("a.example");
  const homes = (...names: string[]) =>
    store.mirrors.aliases(key, 0, key.length, preferring(...names))
      .map((slot) => store.mirrors.aliasView(slot).home);
  assert.equal(homes("eu", "us", "ap"), ["eu", "us", "ap"]);
  assert.equal(homes("ap"), ["ap"]);
  const other = domainBytes("b.example");
  assert.equal(store.mirrors.aliases(other, 0, other.length, preferring("ap")), []);
});

test("MirrorReads.locate gives the record's stored form, unchanged", () => {
  const { store } = ofThreeRegions();
  const slot = store.mirrors.find(KIND_AGENT, idOf(1), 0, preferring("ap"));
  assert.is(store.mirrors.isMirror(slot), true);
  const { bytes, start, end } = store.mirrors.locate(slot, newSpan());
  const revision = { generation: 1, index: 5 };
  const sent = agentBytes({ region: "ap", revision, port: 2 });
  assert.equal(bytes.slice(start, end), sent);
  assert.is(store.mirrors.recordView(slot).region, "ap");
});

test("the table finds all of many mirrors while others come and go", () => {
  const harness = new MirrorHarness();
  harness.fence(1);
  harness.fence(1, { home: "ap" });
  let index = 0;
  for (let round = 0; round < 8; round++) {
    for (const home of ["us", "ap"]) {
      const puts = Array.from(
        { length: 64 },
        (_, number) => agentPut(++index, { number: round * 64 + number + 1 }),
      );
      const removals = home === "us" ? [] : puts.slice(0, 32).map((_, number) => ({
        id: idOf(round * 64 + number + 1),
        kind: KIND_AGENT,
        revision: { generation: 1, index: 100_000 },
      }));
      harness.batch({ home, number: round + 1, puts, removals });
    }
  }
  const { store } = harness;
  for (let number = 1; number <= 512; number++) {
    const found = ["us", "ap"].map((home) =>
      store.mirrors.find(KIND_AGENT, idOf(number), 0, preferring(home)) !== -1
    );
    assert.equal(found, [true, (number - 1) % 64 >= 32], `agent ${number}`);
  }
});

test.run();
