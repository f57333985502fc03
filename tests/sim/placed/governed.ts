/**
 * Signers and a proposer of the governed plane, whichever machine leads it, and what must hold of it: one
 * history on all nodes, what was acknowledged stays, and nothing is applied without its quorum.
 */
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
import type { ClusterGroups } from "../../../src/replication/assembly/cluster_groups.ts";
import { A, B, C, signatureOf, testGenesis } from "../../support/governance.ts";
import { Finding } from "../history.ts";
import { hashBytes } from "../trace.ts";
import type { PlacedChecker } from "./checker.ts";
import type { PlacedCluster } from "./cluster.ts";
import type { PlacedMachine } from "./machine.ts";

/** Mean time between two commands, ms. */
const COMMANDS_MS = 400;
/** Commands of a run at most: each signature takes a millisecond on every replica. */
const COMMANDS_MAX = 40;
const PROPOSAL_MS = 1_000;
const IDS = ["svc-a@eu", "svc-b@eu"];
const THRESHOLD = 2;

/** Something that a command was acknowledged to have done. */
interface Acknowledged {
  readonly version: number;
  readonly proposal: number;
}

/** The signers and the proposer of a run. */
export class Governors {
  readonly acknowledged: Acknowledged[] = [];
  readonly #cluster: PlacedCluster;
  readonly #entropy: SeededEntropy;
  #commands = 0;
  #isOver = false;

  constructor(cluster: PlacedCluster) {
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
    this.#propose(leader, (from) => encodeApplyProposal(from, { proposal, caller: "sim" }));
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
    const body = { payload: read.bytes, signatures, caller: "sim" };
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

/** The governed plane has one history, nothing acknowledged is lost, and every entry has its quorum. */
class OnePlane implements PlacedChecker {
  readonly name = "one_plane";
  readonly #cluster: PlacedCluster;
  /** By applied index: the hash of the state. */
  readonly #states = new Map<number, number>();
  /** By version: the entry. */
  readonly #entries = new Map<number, Uint8Array>();
  readonly #compared = new WeakMap<object, number>();

  constructor(cluster: PlacedCluster) {
    this.#cluster = cluster;
  }

  looked(): void {
    for (const { address, groups } of this.#cluster.machines) {
      const store = groups?.plane?.store;
      if (store === undefined || this.#compared.get(store.state) === store.appliedIndex) continue;
      this.#compared.set(store.state, store.appliedIndex);
      this.#sameState(address, groups!);
      for (const { entry, leaf } of store.plane?.log.entries ?? []) {
        const known = this.#entries.get(entry.version);
        if (known === undefined) {
          this.#entries.set(entry.version, leaf);
          const signers = new Set(entry.approvals.map(({ signerId }) => signerId));
          if (signers.size < THRESHOLD) {
            throw this.#finding(`Entry ${entry.version} is signed by ${[...signers]} alone`);
          }
        } else if (hashBytes(known, 0) !== hashBytes(leaf, 0)) {
          throw this.#finding(`Entry ${entry.version} on machine ${address} is another one`);
        }
      }
    }
  }

  ended(): void {
    const { governors, machines } = this.#cluster;
    for (const { address, groups } of machines) {
      const log = groups?.plane?.store.plane?.log;
      if (groups?.plane === undefined) continue;
      for (const { version, proposal } of governors.acknowledged) {
        if (log?.at(version)?.entry.proposal === proposal) continue;
        throw this.#finding(`Version ${version}, acknowledged, is not on machine ${address}`);
      }
    }
  }

  #sameState(address: number, { plane }: ClusterGroups): void {
    const { store } = plane!;
    let hash = 0;
    for (const chunk of store.writeImage()) hash = hashBytes(chunk, hash);
    const before = this.#states.get(store.appliedIndex);
    if (before === undefined) this.#states.set(store.appliedIndex, hash);
    else if (before !== hash) {
      throw this.#finding(`At ${store.appliedIndex}, machine ${address} has another state`);
    }
  }

  #finding(message: string): Finding {
    return new Finding(this.name, message);
  }
}

/** Makers of the checkers of the governed plane. */
export const GOVERNED_CHECKERS: readonly ((cluster: PlacedCluster) => PlacedChecker)[] = [
  (cluster) => new OnePlane(cluster),
];
