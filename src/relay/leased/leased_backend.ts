/**
 * The backend over a store with leases and transactions: etcd and Consul.
 *
 * Each relay and each agent is one entry with a lease of its own. An agent's entry names the lease of
 * the relay that placed it, which is that relay's incarnation: an agent is live while its entry exists
 * and its relay's entry has that lease. So all agents of a relay end at the moment it does, and a relay
 * that comes back has another lease and does not bring them back.
 *
 * A step reads, then writes on the condition that what it read still holds, and starts over if it does
 * not. Times are those of the server's answers (their Date, so whole seconds), never this machine's.
 */
import { RegistryError } from "../../base/errors.ts";
import { RELAY_ATTEMPTS_MAX, RELAY_RETRY_MS, RELAY_STORED_ENTRIES_MAX } from "../../base/limits.ts";
import type { BackendCall, RelayBackend } from "../relay_backend.ts";
import type { AgentPlacement, Relay, RelayAddress } from "../relay_registry.ts";
import type { RelayTimes } from "../relay_times.ts";
import type { EntryCondition, EntryKey, LeasedEntry, LeaseStore } from "./lease_store.ts";
import { type AgentValue, agentValueOf, encodeValue, relayValueOf } from "./values.ts";

const relayKey = (id: string): EntryKey => ({ kind: "relay", id });
const agentKey = (id: string): EntryKey => ({ kind: "agent", id });

/** Keeps the entries in a store with leases. */
export class LeasedRelayBackend implements RelayBackend {
  readonly name: string;
  readonly #store: LeaseStore;
  readonly #times: RelayTimes;

  constructor(store: LeaseStore, times: RelayTimes) {
    this.name = store.name;
    this.#store = store;
    this.#times = times;
  }

  putRelay({ relayId, address, grpcPort }: RelayAddress, call: BackendCall): Promise<void> {
    const key = relayKey(relayId);
    return this.#repeated(call, async () => {
      const { entries: [relay], unixMs } = await this.#store.read([key], call);
      const value = encodeValue({ address, port: grpcPort, heartbeatUnixMs: unixMs });
      const isDone = await this.#write(key, relay, value, [], this.#times.relayTtlMs, call);
      return isDone ? { answer: undefined } : undefined;
    });
  }

  renewRelay(relayId: string, call: BackendCall): Promise<boolean> {
    const key = relayKey(relayId);
    return this.#repeated(call, async () => {
      const { entries: [relay], unixMs } = await this.#store.read([key], call);
      if (relay === undefined) return { answer: false };
      const value = encodeValue({ ...relayValueOf(relay), heartbeatUnixMs: unixMs });
      const isDone = await this.#write(key, relay, value, [], this.#times.relayTtlMs, call);
      return isDone ? { answer: true } : undefined;
    });
  }

  placeAgent(agentId: string, relayId: string, call: BackendCall): Promise<boolean> {
    const key = agentKey(agentId);
    return this.#repeated(call, async () => {
      const { entries: [relay, agent], unixMs } = await this.#store.read(
        [relayKey(relayId), key],
        call,
      );
      if (relay === undefined) return { answer: false };
      const isDone = await this.#place(key, relay, agent, unixMs, call);
      return isDone ? { answer: true } : undefined;
    });
  }

  renewAgent(
    agentId: string,
    relayId: string | undefined,
    call: BackendCall,
  ): Promise<boolean> {
    return this.#repeated(call, async () => {
      const holder = relayId ?? await this.#holderOf(agentId, call);
      if (holder === undefined) return { answer: false };
      const key = agentKey(agentId);
      const { entries: [relay, agent], unixMs } = await this.#store.read(
        [relayKey(holder), key],
        call,
      );
      if (agent === undefined) return { answer: false };
      const value = agentValueOf(agent);
      if (value.relayId !== holder) return relayId === undefined ? undefined : { answer: false };
      if (!isPlacedAt(value, relay)) return { answer: false };
      const isDone = await this.#place(key, relay, agent, unixMs, call);
      return isDone ? { answer: true } : undefined;
    });
  }

  async relays(countMax: number, call: BackendCall): Promise<Relay[]> {
    const [relays = []] = await this.#store.list(["relay"], countMax, call);
    return relays.map((entry) => {
      const { address, port, heartbeatUnixMs } = relayValueOf(entry);
      return { relayId: entry.id, address, grpcPort: port, lastHeartbeatUnixMs: heartbeatUnixMs };
    });
  }

  async agents(
    relayId: string | undefined,
    countMax: number,
    call: BackendCall,
  ): Promise<AgentPlacement[]> {
    const listed = await this.#store.list(["relay", "agent"], RELAY_STORED_ENTRIES_MAX, call);
    const [relays = [], agents = []] = listed;
    if (Math.max(relays.length, agents.length) >= RELAY_STORED_ENTRIES_MAX) {
      throw new RegistryError(
        "too_large",
        `Cannot list agents, as ${this.name} must hold fewer than ${RELAY_STORED_ENTRIES_MAX} relays ` +
          "and as many agents, ended ones included: it holds at least that many",
      );
    }
    const relayById = new Map(relays.map((entry) => [entry.id, entry]));
    const placements: AgentPlacement[] = [];
    for (const entry of agents) {
      if (placements.length === countMax) break;
      const value = agentValueOf(entry);
      if (relayId !== undefined && value.relayId !== relayId) continue;
      if (isPlacedAt(value, relayById.get(value.relayId))) {
        placements.push(placementOf(entry.id, value));
      }
    }
    return placements;
  }

  placement(agentId: string, call: BackendCall): Promise<AgentPlacement | undefined> {
    return this.#repeated(call, async () => {
      const holder = await this.#holderOf(agentId, call);
      if (holder === undefined) return { answer: undefined };
      const { entries: [relay, agent] } = await this.#store.read(
        [relayKey(holder), agentKey(agentId)],
        call,
      );
      if (agent === undefined) return { answer: undefined };
      const value = agentValueOf(agent);
      // It was moved between the two readings.
      if (value.relayId !== holder) return undefined;
      return { answer: isPlacedAt(value, relay) ? placementOf(agentId, value) : undefined };
    });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Returns the relay that an agent's entry names, live or not. */
  async #holderOf(agentId: string, call: BackendCall): Promise<string | undefined> {
    const { entries: [agent] } = await this.#store.read([agentKey(agentId)], call);
    return agent === undefined ? undefined : agentValueOf(agent).relayId;
  }

  #place(
    key: EntryKey,
    relay: LeasedEntry,
    agent: LeasedEntry | undefined,
    unixMs: number,
    call: BackendCall,
  ): Promise<boolean> {
    const value = encodeValue({
      relayId: relay.id,
      relayLease: relay.lease,
      heartbeatUnixMs: unixMs,
    });
    const isLive = { key: relayKey(relay.id), lease: relay.lease };
    return this.#write(key, agent, value, [isLive], this.#times.agentTtlMs, call);
  }

  /**
   * Writes an entry for its ttl: with the lease that it has, or with a new one.
   *
   * @param found the entry as it was read; it is written only if it did not change since.
   * @returns false if a condition does not hold or the lease ended, so the step must be repeated.
   */
  async #write(
    key: EntryKey,
    found: LeasedEntry | undefined,
    value: string,
    conditions: readonly EntryCondition[],
    ttlMs: number,
    call: BackendCall,
  ): Promise<boolean> {
    const store = this.#store;
    if (found !== undefined) {
      const { lease, revision } = found;
      const all = [...conditions, { key, revision }];
      // A renewal without the write is harmless: the entry was written by another call just now.
      const done = await Promise.all([
        store.commit(all, { key, value, lease }, call),
        store.renew(lease, call),
      ]);
      return done.every(Boolean);
    }
    const lease = await store.grant(ttlMs, call);
    if (
      await store.commit([...conditions, { key, is: "absent" }], { key, value, lease }, call)
    ) return true;
    await store.revoke(lease, call);
    return false;
  }

  /** Repeats a step until it has an answer. */
  async #repeated<T>(
    { signal }: BackendCall,
    step: () => Promise<{ readonly answer: T } | undefined>,
  ): Promise<T> {
    for (let attempt = 0; attempt < RELAY_ATTEMPTS_MAX; attempt++) {
      signal.throwIfAborted();
      const done = await step();
      if (done !== undefined) return done.answer;
    }
    throw new RegistryError(
      "overloaded",
      `Other calls changed the same entry at ${this.name} during ${RELAY_ATTEMPTS_MAX} attempts`,
      { retryAfterMs: RELAY_RETRY_MS },
    );
  }
}

/** Reports whether an agent is placed at the live incarnation of its relay. */
function isPlacedAt(value: AgentValue, relay: LeasedEntry | undefined): relay is LeasedEntry {
  return relay !== undefined && relay.lease === value.relayLease;
}

function placementOf(agentId: string, { relayId, heartbeatUnixMs }: AgentValue): AgentPlacement {
  return { agentId, relayId, lastUpdatedUnixMs: heartbeatUnixMs };
}
