/** Mutants of relays: an agent ends with the incarnation of its relay, and moves in one command. */
import type { PlacedPlan } from "../../placed/plan.ts";
import type { Mutant } from "../mutant.ts";

const WRITES = "src/serving/relays/relay_writes.ts";
const READS = "src/serving/relays/relay_reads.ts";
const CALLS = "src/client/calls/relays.ts";
const STORE_TEST = "tests/unit/store/named_owners.test.ts";
const SERVING_TEST = "tests/unit/serving/relays.test.ts";
const CALLS_TEST = "tests/unit/client/relays.test.ts";

const withRelays = ({ relays }: PlacedPlan): boolean => relays > 0;

export const RELAY_MUTANTS: readonly Mutant[] = [
  {
    name: "takeover_in_two_commands",
    breaks: "Another relay takes an agent over in one command",
    showsPlaced: withRelays,
    edits: [{
      file: WRITES,
      anchor: `import { credentialOf }`,
      replacement:
        `import { encodeRemove } from "../../record/command.ts";\nimport { credentialOf }`,
    }, {
      file: WRITES,
      anchor: "    checkCredential(relay.isSameCredential);\n    const sent: Placement = {",
      replacement: `    checkCredential(relay.isSameCredential);
    const id = idOfName(agentId, "agentId");
    const home = this.#parts.table.led(KIND_PLACEMENT, id);
    const held = slotOfPlacement(home, id, agentId);
    if (held !== -1 && placementAt(home.store, held).relayId !== relayId) {
      const { proposer } = this.#parts;
      const incarnation = home.store.incarnationOf(held);
      const removal = { id, incarnation, process: 0, sequence: 0, kind: KIND_PLACEMENT };
      const command = encodeRemove(proposer.header(home, 0), removal);
      await proposer.propose(home, command, context.deadlineMs);
    }
    const sent: Placement = {`,
    }],
  },
  {
    name: "agent_outlives_incarnation",
    breaks: "An agent is shown only while the incarnation of its relay lives",
    showsPlaced: withRelays,
    edits: [{
      file: READS,
      anchor:
        "const isLive = found !== -1 && samePosition(home.store.incarnationOf(found), incarnation);",
      replacement: "const isLive = found !== -1; void [samePosition, incarnation];",
    }],
  },
  {
    name: "agent_outlives_incarnation_elsewhere",
    breaks: "A client shows an agent only if the incarnation of its relay, held elsewhere, lives",
    test: CALLS_TEST,
    edits: [{
      file: CALLS,
      anchor:
        "if (relay === undefined || !samePosition(relay.incarnation, placed.relayIncarnation)) {",
      replacement: "if (relay === undefined) {",
    }],
  },
  {
    name: "agent_listed_after_incarnation",
    breaks: "A list shows agents of live incarnations only",
    test: CALLS_TEST,
    edits: [{
      file: CALLS,
      anchor: "return incarnation !== undefined && samePosition(incarnation, relayIncarnation);",
      replacement: "return incarnation !== undefined || relayIncarnation === undefined;",
    }],
  },
  {
    name: "heartbeat_after_incarnation",
    breaks: "The heartbeat of an agent is refused once the incarnation of its relay has ended",
    test: SERVING_TEST,
    edits: [{
      file: WRITES,
      anchor: "if (relay === undefined || comparePositions(relay.incarnation, placed) !== 0) {",
      replacement: "void [comparePositions, placed];\n    if (relay === undefined) {",
    }],
  },
  {
    name: "agent_gone_at_first_look",
    breaks: "An agent that moved between the two reads of its placement is not called gone",
    test: CALLS_TEST,
    edits: [{
      file: CALLS,
      anchor: "      hidden = placed;",
      replacement: "      hidden = placed;\n      throw notPlaced(agentId);",
    }],
  },
  {
    name: "delayed_registration_wins",
    breaks: "A registration that comes late undoes no later one",
    test: STORE_TEST,
    edits: [{
      file: "src/store/apply_put.ts",
      anchor: "superseded: supersede(state, superseded, current),",
      replacement: "superseded,",
    }],
  },
  {
    name: "relay_of_anybody",
    breaks: "While a relay lives its owner alone writes it, under the same credential",
    test: STORE_TEST,
    edits: [{
      file: "src/record/named_record.ts",
      anchor: "if (isSame) return undefined;",
      replacement: 'if (isSame || name !== "") return undefined;',
    }],
  },
  {
    name: "anybody_places_agents",
    breaks: "Agents are placed at a relay by its owner alone",
    test: SERVING_TEST,
    edits: [{
      file: WRITES,
      anchor: "access.checkWrite(context.peer, {",
      replacement: "void access; void ({",
    }],
  },
  {
    name: "earlier_incarnation_places",
    breaks: "An earlier incarnation of a relay takes no agent from a later one",
    test: STORE_TEST,
    edits: [{
      file: "src/record/placement.ts",
      anchor: `if (order > 0) return "replaces";`,
      replacement: `return "replaces";`,
    }],
  },
];
