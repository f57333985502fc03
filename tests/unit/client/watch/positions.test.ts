/** The positions of a watch, as an immutable value; and tokens of domains. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { SeededEntropy } from "../../../../src/base/prng.ts";
import { PositionMap } from "../../../../src/client/watch/positions.ts";
import {
  decodeDomainToken,
  type DomainToken,
  encodeDomainToken,
} from "../../../../src/client/watch/domain_token.ts";
import type { HistoryPosition } from "../../../../src/wire/watch_message.ts";

test("PositionMap keeps every earlier version as it was", () => {
  const random = new SeededEntropy(5);
  for (const count of [1, 2, 31, 32, 33, 1_024, 1_025, 8_192]) {
    const model = new Map<number, HistoryPosition | undefined>();
    let map = PositionMap.empty(count);
    const versions: { map: PositionMap; model: Map<number, HistoryPosition | undefined> }[] = [];
    for (let step = 0; step < 300; step++) {
      const place = step % 7 === 0 ? count - 1 : Math.floor(random.unit() * count);
      const position = random.unit() < 0.1
        ? undefined
        : { generation: 1, index: step, ordinal: step };
      map = map.with(place, position);
      model.set(place, position);
      if (step % 50 === 0) versions.push({ map, model: new Map(model) });
    }
    for (const { map, model } of versions) {
      for (let place = 0; place < count; place++) assert.equal(map.at(place), model.get(place));
      const known = [...model.values()].filter((position) => position !== undefined).length;
      assert.is(map.missing, count - known);
    }
  }
  assert.throws(() => PositionMap.empty(4).with(4, undefined), /below 4/);
});

test("a token of a domain keeps what is known of alias and agent, and refuses other texts", () => {
  const target = {
    agentId: new Uint8Array(16).fill(9),
    claim: { generation: 2, index: 2 ** 40 * 8_000 + 5 },
  };
  const tokens: DomainToken[] = [
    {
      alias: "AA",
      agent: "BB",
      target,
      agentClaim: { generation: 1, index: 7 },
      isResolved: true,
    },
    { alias: "AA", agent: undefined, target, agentClaim: undefined, isResolved: false },
    { alias: "AA", agent: undefined, target: undefined, agentClaim: undefined, isResolved: false },
  ];
  for (const token of tokens) assert.equal(decodeDomainToken(encodeDomainToken(token)), token);
  const text = encodeDomainToken(tokens[0]!);
  for (const wrong of ["", "AA", "AA.BB", `${text}.`, text.slice(0, -2), "AA.BB.AAAA"]) {
    assert.throws(() => decodeDomainToken(wrong), /token of a watch of a domain/, wrong);
  }
});

test.run();
