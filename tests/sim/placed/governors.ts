/** Signers and a proposer of the governed plane, whichever machine leads it. */
import { canonicalPayload } from "../../../src/governance/documents/payload.ts";
import { NO_PREVIOUS } from "../../../src/governance/documents/content_id.ts";
import {
  encodeAddSignatures,
  encodeApplyProposal,
  encodeGovernInit,
  encodePropose,
} from "../../../src/governance/governance_codec.ts";
import type { GovernanceReply } from "../../../src/governance/governance_store.ts";
import { SeededEntropy } from "../../../src/base/prng.ts";
import type { CommandHeader } from "../../../src/record/command.ts";
import { A, B, C, signatureOf, testGenesis } from "../../support/governance.ts";
import type { SimWorld } from "../world.ts";
import type { PlacedMachine } from "./machine.ts";
import type { PlacedPlan } from "./plan.ts";

/** Mean time between two commands, ms. */
const COMMANDS_MS = 400;
/** Commands of a run at most: each signature takes a millisecond on every replica. */
const COMMANDS_MAX = 40;
const PROPOSAL_MS = 1_000;
const IDS = ["svc-a@eu", "svc-b@eu"];
/** Signers that must agree. */
export const THRESHOLD = 2;

/** A proposal whose entry was acknowledged. */
interface Acknowledged {
  readonly version: number;
  readonly proposal: number;
}

/** The cluster as its signers use it. */
export interface GovernorsHost {
  readonly plan: PlacedPlan;
  readonly world: SimWorld;
  readonly machines: readonly PlacedMachine[];
}

/** The signers and the proposer of a run. */
export class Governors {
  readonly acknowledged: Acknowledged[] = [];
  readonly #cluster: GovernorsHost;
  readonly #entropy: SeededEntropy;
  #commands = 0;
  #isOver = false;

  constructor(cluster: GovernorsHost) {
    this.#cluster = cluster;
    this.#entropy = new SeededEntropy(cluster.plan.seed ^ 0x90ce12);
  }

  start(): void {
    this.#later();
  }

  stop(): void {
    this.#isOver = true;
  }

  #later(): void {
    const { world } = this.#cluster;
    if (this.#isOver || this.#commands === COMMANDS_MAX) return;
    world.after(1 + this.#entropy.unit() * 2 * COMMANDS_MS, () => {
      this.#act();
      this.#later();
    });
  }

  /** Takes the next step at a machine that believes to lead the plane. */
  #act(): void {
    const leaders = this.#cluster.machines.filter(({ groups }) => groups?.plane?.group.isLeading);
    const leader = leaders[this.#entropy.uint32() % Math.max(1, leaders.length)];
    if (leader === undefined) return;
    this.#commands++;
    const { plane } = leader.groups!.plane!.store;
    if (plane === undefined) {
      const genesis = testGenesis([A, B, C], THRESHOLD).bytes;
      return this.#propose(leader, (from) => encodeGovernInit(from, { genesis, caller: "sim" }));
    }
    const open = [...plane.proposals.all];
    const chosen = open[this.#entropy.uint32() % Math.max(1, open.length)];
    const dice = this.#entropy.uint32() % 10;
    if (chosen === undefined || dice < 3) return this.#proposeNext(leader);
    const { number: proposal, read } = chosen;
    // Applied too early one time in three: the quorum decides.
    if (dice < 7) {
      const signature = signatureOf([A, B, C][dice % 3]!, read);
      const body = { proposal, signatures: [signature], caller: "sim" };
      return this.#propose(leader, (from) => encodeAddSignatures(from, body));
    }
    this.#propose(
      leader,
      (from) => encodeApplyProposal(from, { proposal, caller: "sim", region: "" }),
    );
  }

  #proposeNext(leader: PlacedMachine): void {
    const { plane } = leader.groups!.plane!.store;
    const id = IDS[this.#entropy.uint32() % IDS.length]!;
    const head = plane!.log.headOf(id)?.entry;
    const read = canonicalPayload({
      schema: "descriptor/1",
      ...{ id, kind: "service", version: (head?.idVersion ?? 0) + 1 },
      prev_hash: head?.contentId ?? NO_PREVIOUS,
      body: { n: this.#entropy.uint32() },
    });
    const signatures = [signatureOf(A, read)];
    const body = { payload: read.bytes, signatures, caller: "sim", region: "" };
    this.#propose(leader, (from) => encodePropose(from, body));
  }

  #propose(leader: PlacedMachine, encode: (from: CommandHeader) => Uint8Array): void {
    leader.enter(({ groups, process }) => {
      const { group } = groups!.plane!;
      const unixS = Math.floor(process.unixMs() / 1_000);
      const command = encode({ timeMs: Math.floor(group.timeMs()), unixS, writer: 0 });
      void group.propose(command, PROPOSAL_MS).then((proposed) => {
        if (proposed.ok) this.#heard(proposed.outcome);
      });
    });
  }

  #heard(reply: GovernanceReply): void {
    if (reply.code !== "ok" || reply.version === undefined) return;
    this.acknowledged.push({ version: reply.version, proposal: reply.proposal ?? 0 });
  }
}
