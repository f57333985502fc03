/**
 * The owners of a run with the programs that keep their agents alive, and the authority that enrols them and
 * ends their rights by commands of group 0, whichever machine leads it.
 */
import { SeededEntropy } from "../../../src/base/prng.ts";
import { formatUuid } from "../../../src/base/uuid.ts";
import type { Client } from "../../../src/client/mod.ts";
import { connectCaller } from "../../../src/client/client.ts";
import { BAN_KINDS } from "../../../schemas/gen/wire.ts";
import type { CommandHeader } from "../../../src/record/command.ts";
import { encodeBan, encodeEnrolment, encodeGrant } from "../../../src/system/identity_codec.ts";
import type { IdentityState } from "../../../src/system/identity_state.ts";
import { Machine, type Process } from "../machine.ts";
import type { SimWorld } from "../world.ts";
import { KeptLease, type LeasePromise } from "./kept_lease.ts";
import type { PlacedMachine } from "./machine.ts";
import { clientPortOf } from "./node_program.ts";
import { Owner } from "./owner.ts";
import type { PlacedPlan } from "./plan.ts";
import { type SimWire, WIRE_HOST } from "./wire.ts";

/** Addresses of owners on the wire begin here. */
const OWNER_ADDRESS_MIN = 200;
/** The interval at which the authority looks for what it has to do, ms. */
const LOOK_MS = 100;
const PROPOSAL_MS = 1_000;
/** Time after which an owner tries again to register, ms. */
const RETRY_MS = 500;

/** The cluster as its owners and their authority use it. */
export interface OwnersHost {
  readonly plan: PlacedPlan;
  readonly world: SimWorld;
  readonly wire: SimWire;
  readonly nowMs: number;
  systemLeader(): PlacedMachine | undefined;
}

/** The owners of one run. */
export class Owners {
  readonly all: readonly Owner[];
  readonly #cluster: OwnersHost;
  readonly #programs: readonly OwnerProgram[];
  #isEnrolled = false;

  constructor(cluster: OwnersHost, promised: (promise: LeasePromise) => void) {
    const { plan } = cluster;
    const entropy = new SeededEntropy(plan.seed ^ 0x0e4e5);
    this.#cluster = cluster;
    this.all = plan.owners.map((owner, number) => {
      const id = new Uint8Array(16).fill(0x70);
      id[15] = number;
      return new Owner(owner, { number, id: formatUuid(id), address: OWNER_ADDRESS_MIN + number });
    });
    this.#programs = this.all.map((owner) =>
      new OwnerProgram(cluster, { owner, seed: entropy.uint32(), promised })
    );
  }

  /** Returns the owner at an address of the wire; undefined if another program is there. */
  at(address: number): Owner | undefined {
    return this.all[address - OWNER_ADDRESS_MIN];
  }

  start(): void {
    if (this.all.length > 0) this.#look();
  }

  /** Returns what group 0 does not know yet of the owners; undefined if it knows all. */
  unknown(): string | undefined {
    const state = this.#state;
    if (state === undefined) return "group 0 has no leader";
    const owner = this.all.find((one) => !one.isKnown(state) || !one.isEnded(state));
    return owner === undefined ? undefined : `the end of ${owner.domain} is not logged`;
  }

  /** Whether the program of an owner keeps its agent. */
  keeps(owner: Owner): boolean {
    return this.#programs[this.all.indexOf(owner)]!.kept.isActive;
  }

  get #state(): IdentityState | undefined {
    return this.#cluster.systemLeader()?.groups?.system.store.identities;
  }

  #look(): void {
    const { world } = this.#cluster;
    this.#work();
    if (this.unknown() !== undefined) world.after(LOOK_MS, () => this.#look());
  }

  /** Proposes what is due and not applied yet at the leader of group 0. */
  #work(): void {
    const { nowMs } = this.#cluster;
    const state = this.#state;
    if (state === undefined) return;
    if (!this.#isEnrolled) {
      this.#isEnrolled = this.all.every((owner) => owner.isKnown(state));
      if (this.#isEnrolled) this.#programs.forEach((program) => program.start());
    }
    for (const owner of this.all) {
      if (!owner.isKnown(state)) return this.#enrol(owner, state);
      if (nowMs >= owner.plan.endsAtMs && !owner.isEnded(state)) this.#end(owner, state);
    }
  }

  #enrol({ grant, lineage }: Owner, state: IdentityState): void {
    if (state.lineage(lineage.lineage) === undefined) {
      return this.#propose((from) =>
        encodeEnrolment(from, { lineages: [{ replacedVersion: 0, record: lineage }] })
      );
    }
    if (grant !== undefined) this.#propose((from) => encodeGrant(from, grant));
  }

  #end({ lineage: { lineage }, plan, subject, tokenId }: Owner, state: IdentityState): void {
    const ban = (kind: number, name: string) =>
      this.#propose((from) =>
        encodeBan(from, { kind, name, reason: "simulated", untilMs: 0, lifted: false })
      );
    if (plan.end === "ban_subject") return ban(BAN_KINDS.subject, subject);
    if (plan.end === "ban_lineage") return ban(BAN_KINDS.lineage, String(lineage));
    if (plan.end === "ban_token") return ban(BAN_KINDS.token, tokenId);
    const known = state.lineage(lineage)!;
    const record = { ...known, version: known.version + 1, stopped: "stolen" as const };
    this.#propose((from) =>
      encodeEnrolment(from, { lineages: [{ replacedVersion: known.version, record }] })
    );
  }

  #propose(encode: (from: CommandHeader) => Uint8Array): void {
    const leader = this.#cluster.systemLeader();
    leader?.enter(({ groups, process }) => {
      const { group } = groups!.system;
      const unixS = Math.floor(process.unixMs() / 1_000);
      void group.propose(encode({ timeMs: group.timeMs(), unixS, writer: 0 }), PROPOSAL_MS);
    });
  }
}

/** The program of an owner: it keeps its agent alive with the SDK. */
class OwnerProgram {
  readonly kept: KeptLease;
  readonly #cluster: OwnersHost;
  readonly #machine: Machine;
  #process: Process | undefined;
  #client: Client | undefined;

  constructor(cluster: OwnersHost, { owner, promised, seed }: {
    readonly owner: Owner;
    readonly promised: (promise: LeasePromise) => void;
    readonly seed: number;
  }) {
    const { world } = cluster;
    const { address, domain, id, plan: { ttlMs } } = owner;
    this.#cluster = cluster;
    this.#machine = new Machine(world, {
      id: address,
      clock: { rate: 1, wallRate: 1, wallOffsetMs: 0 },
      seed,
      onKilled: () => {},
    });
    this.kept = new KeptLease({
      ...{ id, domain, ttlMs, world, promised },
      number: address,
      pause: () => new Promise((resolve) => void this.#process!.after(RETRY_MS, resolve)),
    });
  }

  start(): void {
    const { plan, wire, world } = this.#cluster;
    const process = this.#machine.start();
    this.#machine.openPromises = 1;
    this.#process = process;
    const connect = async () => {
      this.#client = await connectCaller({
        endpoints: plan.machines.map(({ address }) => ({
          host: WIRE_HOST,
          port: clientPortOf(address),
        })),
        dialer: wire.dialer(this.#machine, process),
        trust: { kind: "pins", sha256: [] },
        world: process,
        options: { lazy: true },
      });
      this.kept.begin(this.#client);
    };
    process.enter(() => void connect().catch((error) => world.fail(error)));
  }
}
