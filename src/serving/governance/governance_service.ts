/**
 * The governed plane as operations: proposals at the leader of its group, reads at any of its replicas
 * that is current, and requests for entries that wait for the next one.
 */
import type {
  GovernanceAuditReply,
  GovernanceAuditRequest,
  GovernanceStatusReply,
  GovernedBundleRequest,
  GovernedLogReply,
  GovernedLogRequest,
  InitGovernanceRequest,
  ProposalReply,
  ProposalState,
} from "../../../schemas/gen/wire.ts";
import type { GovernedEntryRecord } from "../../../schemas/gen/governance.ts";
import type { Input } from "../../../schemas/runtime/writer.ts";
import { decodeBase64, encodeBase64 } from "../../base/base64.ts";
import { RegistryError } from "../../base/errors.ts";
import {
  GOVERNANCE_AUDIT_PAGE_MAX,
  GOVERNED_ID_LENGTH_MAX,
  GOVERNED_LOG_REPLY_BYTES_MAX,
  GOVERNED_PAYLOAD_BYTES_MAX,
  GOVERNED_WAIT_MS_MAX,
  PROPOSAL_LIFE_MS,
  RESPONSE_FRAME_BYTES_MAX,
  SIGNERS_MAX,
  VERSION_RETRY_MS,
} from "../../base/limits.ts";
import type { MonotonicClock, WallClock } from "../../base/world.ts";
import { genesisOf } from "../../governance/documents/genesis.ts";
import type { GovernanceReply, GovernanceStore } from "../../governance/governance_store.ts";
import type { GovernedPlane } from "../../governance/governed_plane.ts";
import { encodeGovernInit } from "../../governance/governance_codec.ts";
import { readPayload } from "../../governance/documents/payload.ts";
import { MIRROR_APPLY_VERSION } from "../../governance/governance_state.ts";
import { encodeRaisePartitionVersion } from "../../record/command.ts";
import { GOVERNED_MIRRORS_APPLY_VERSION } from "../../system/versions/features.ts";
import { bundleOf } from "../../governance/verification/bundle.ts";
import { canonicalJson } from "../../signing/canonical_json.ts";
import type { CommandHeader } from "../../record/command.ts";
import type { Group } from "../../replication/group_interface.ts";
import type { Checkpoints } from "./checkpoints.ts";
import type { EntryWaiters } from "./entry_waiters.ts";

/** The governed plane's group on this node. */
export interface PlaneHere {
  readonly group: Group<GovernanceReply>;
  readonly store: GovernanceStore;
}

/** Dependencies of {@link GovernanceService}. */
export interface GovernanceServiceParts {
  /** Returns the group; undefined if this node does not host it. */
  readonly plane: () => PlaneHere | undefined;
  /** Returns the nodes on which it is placed. */
  readonly nodes: () => readonly number[];
  /** The number of this node. */
  readonly self: number;
  readonly checkpoints: Checkpoints;
  readonly waiters: EntryWaiters;
  readonly wall: WallClock;
  readonly monotonic: MonotonicClock;
  /** The cluster's own region. */
  readonly region: string;
  /** Returns the apply version of group 0, which all members support. */
  readonly clusterVersion: () => number;
  /** Returns the time since a region answered, ms; undefined if this node does not know. */
  readonly contactAgeMs: (region: string) => number | undefined;
}

/** Bytes of an entry's record beside its documents: hashes, names and numbers. */
const ENTRY_BYTES_MORE = 400;
const NO_BYTES = new Uint8Array(0);
/** Age of an answer whose age is not known, ms. */
const UNKNOWN_AGE_MS = 0xffff_ffff;

/** The operations on the governed plane. */
export class GovernanceService {
  readonly #parts: GovernanceServiceParts;

  constructor(parts: GovernanceServiceParts) {
    this.#parts = parts;
  }

  /** The cluster's own region. */
  get region(): string {
    return this.#parts.region;
  }

  /** Raises the plane's version if a payload needs it. @throws RegistryError `overloaded`. */
  async prepareFor(payload: Uint8Array, deadlineMs: number): Promise<void> {
    if (readPayload(payload).action !== "home") return;
    await this.ensureVersion(MIRROR_APPLY_VERSION, deadlineMs);
  }

  /** Raises the plane's version to one that is needed. @throws RegistryError `overloaded`. */
  async ensureVersion(version: number, deadlineMs: number): Promise<void> {
    const { store } = this.#here();
    if (store.applyVersion >= version) return;
    if (this.#parts.clusterVersion() < GOVERNED_MIRRORS_APPLY_VERSION) {
      throw new RegistryError(
        "overloaded",
        "All nodes must run a program that knows mirrors of the governed plane first",
        { retryAfterMs: VERSION_RETRY_MS },
      );
    }
    try {
      await this.propose((header) => encodeRaisePartitionVersion(header, version), deadlineMs);
    } catch (error) {
      // Refused: another request has raised it.
      if (store.applyVersion < version) throw error;
    }
  }

  /**
   * Begins the governed plane; repeating it with the same signers has no further effect.
   *
   * @returns the genesis.
   * @throws RegistryError `stale_version` if there is another genesis; `invalid_argument`;
   * `invalid_configuration` if this node has no key of checkpoints.
   */
  async init(
    { signers, threshold }: InitGovernanceRequest,
    caller: string,
    deadlineMs: number,
  ): Promise<Uint8Array> {
    const { store } = await this.#current(deadlineMs);
    const known = store.plane?.genesis;
    if (signers.length > SIGNERS_MAX) {
      throw invalid("signers", `be at most ${SIGNERS_MAX}: found ${signers.length}`);
    }
    const keys = new Map(signers.map(({ id, publicKey }) => [id, encodeBase64(publicKey)]));
    if (keys.size < signers.length) throw invalid("signers", "have one id each: two have the same");
    // The keys of checkpoints may be those of another node, when it is repeated.
    const checkpointKeys = known?.signers.checkpointKeys ??
      [encodeBase64(await this.#parts.checkpoints.publicKey())];
    const { bytes } = genesisOf({ threshold, signers: keys, checkpointKeys });
    await this.propose(
      (header) => encodeGovernInit(header, { genesis: bytes, caller }),
      deadlineMs,
    );
    return bytes;
  }

  /**
   * Logs a command at this node, which must lead the group.
   *
   * @throws RegistryError the refusal of the plane; `not_leader`, and those of a group.
   */
  async propose(
    command: (header: CommandHeader) => Uint8Array,
    deadlineMs: number,
  ): Promise<Input<ProposalState>> {
    const { group } = this.#here();
    const refusal = group.notLeading();
    if (refusal !== undefined) throw refusal;
    const unixS = Math.min(0xffff_ffff, Math.floor(this.#parts.wall.unixMs() / 1_000));
    const header = { timeMs: Math.floor(group.timeMs()), unixS, writer: 0 };
    const proposed = await group.propose(command(header), this.#leftMs(deadlineMs));
    if (!proposed.ok) throw proposed.error;
    const { outcome } = proposed;
    if (outcome.code === "ok") {
      const { proposal = 0, version = 0, missing = 0 } = outcome;
      return { proposal, version, missing };
    }
    const { code, message, retryAfterMs } = outcome;
    const homeRegion = this.#here().store.plane?.home ?? "";
    throw new RegistryError(code, message, {
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      ...(code === "foreign_region" ? { homeRegion } : {}),
    });
  }

  /** Returns the state of the plane. @throws RegistryError those of a read. */
  async status(deadlineMs: number): Promise<Input<GovernanceStatusReply>> {
    const { plane, version, state } = (await this.#current(deadlineMs)).store;
    const home = plane === undefined || plane.isHome ? "" : plane.home;
    const contactMs = this.#parts.contactAgeMs(home) ?? UNKNOWN_AGE_MS;
    const set = plane?.signers.current;
    return {
      version,
      signerSet: set?.number ?? 0,
      openProposals: plane?.proposals.count ?? 0,
      threshold: set?.threshold ?? 0,
      isFrozen: plane?.isFrozen ?? false,
      genesis: plane?.genesis.hash ?? "",
      signers: Array.from(
        set?.signers ?? [],
        ([id, key]) => ({ id, publicKey: decodeBase64(key)! }),
      ),
      home,
      contactAgeMs: Math.min(UNKNOWN_AGE_MS, Math.ceil(contactMs)),
      refusal: state.mirrorRefusal,
      checkpointKey: plane === undefined ? NO_BYTES : await this.#parts.checkpoints.ownKey(),
    };
  }

  /**
   * Returns the entries after a version, all or those of one descriptor, in order, as many as fit. If there
   * are none, it waits for the next one, up to `waitMs`. A replica that follows answers with what it has, and says how old that may
   * be.
   *
   * @throws RegistryError `overloaded` if too many requests wait; `invalid_argument`.
   */
  async log(
    { after, waitMs, knowsGenesis, id }: GovernedLogRequest,
    deadlineMs: number,
  ): Promise<Input<GovernedLogReply>> {
    if (waitMs > GOVERNED_WAIT_MS_MAX) {
      throw invalid("waitMs", `be at most ${GOVERNED_WAIT_MS_MAX}: found ${waitMs}`);
    }
    const { store } = waitMs === 0 ? await this.#current(deadlineMs) : this.#here();
    const isNews = (store: GovernanceStore) =>
      newestOf(store, id) > after || store.plane !== undefined && !knowsGenesis;
    if (waitMs > 0 && !isNews(store)) {
      // An answer with nothing new is better than none.
      const untilMs = Math.min(waitMs, this.#leftMs(deadlineMs) / 2);
      const isOver = () => {
        const here = this.#parts.plane();
        return here === undefined || isNews(here.store);
      };
      await this.#parts.waiters.wait(isOver, untilMs);
    }
    return this.#entriesAfter(after, knowsGenesis, id);
  }

  #entriesAfter(after: number, knowsGenesis: boolean, id: string): Input<GovernedLogReply> {
    const { group, store } = this.#here();
    const { plane } = store;
    const entries: Input<GovernedEntryRecord>[] = [];
    let byteCount = 0;
    for (const next of versionsAfter(store, after, id)) {
      const { leaf, payload } = plane!.log.at(next)!;
      byteCount += leaf.length + payload.length + ENTRY_BYTES_MORE;
      if (entries.length > 0 && byteCount > GOVERNED_LOG_REPLY_BYTES_MAX) break;
      entries.push(plane!.log.recordOf(next));
    }
    const ageMs = group.provenAgeMs();
    return {
      version: newestOf(store, id),
      ageBoundMs: ageMs < UNKNOWN_AGE_MS ? Math.ceil(ageMs) : UNKNOWN_AGE_MS,
      genesis: knowsGenesis ? NO_BYTES : plane?.genesis.bytes ?? NO_BYTES,
      entries,
    };
  }

  /** Returns an open or an applied proposal. @throws RegistryError `not_found`, those of a read. */
  async proposal(number: number, deadlineMs: number): Promise<Input<ProposalReply>> {
    const { group, store: { plane } } = await this.#current(deadlineMs);
    const applied = plane?.log.ofProposal(number);
    if (applied !== undefined) {
      const { entry, read } = applied;
      return {
        proposal: number,
        version: entry.version,
        createdUnixS: entry.committedAt,
        remainingMs: 0,
        missing: 0,
        payload: read.bytes,
        caller: "",
        signatures: [...entry.approvals],
      };
    }
    const open = plane?.proposals.of(number);
    if (plane === undefined || open === undefined) {
      throw noProposal(number);
    }
    return {
      proposal: number,
      version: 0,
      createdUnixS: open.createdUnixS,
      remainingMs: Math.max(1, Math.floor(open.createdMs + PROPOSAL_LIFE_MS - group.timeMs())),
      missing: plane.missingOf(open),
      payload: open.read.bytes,
      caller: open.caller,
      signatures: [...open.approvals],
    };
  }

  /** Returns the id that an open or applied proposal is about. @throws as {@link proposal}. */
  async idOfProposal(number: number, deadlineMs: number): Promise<string> {
    const { plane } = (await this.#current(deadlineMs)).store;
    const known = plane?.log.ofProposal(number) ?? plane?.proposals.of(number);
    if (known !== undefined) return known.read.payload.id;
    throw noProposal(number);
  }

  /** Returns the bundle of a descriptor as JSON. @throws RegistryError `not_found` without a genesis. */
  async bundle(
    { id, since }: GovernedBundleRequest,
    deadlineMs: number,
  ): Promise<string> {
    if (id === "" || id.length > GOVERNED_ID_LENGTH_MAX) {
      throw invalid("id", `have 1 to ${GOVERNED_ID_LENGTH_MAX} characters`);
    }
    for (;;) {
      this.#leftMs(deadlineMs);
      const plane = this.#governed(await this.#current(deadlineMs));
      const size = plane.log.version;
      const note = await this.#parts.checkpoints.noteOf(plane);
      // The log may have grown while the note was signed.
      if (plane !== this.#parts.plane()?.store.plane || plane.log.version !== size) continue;
      const text = canonicalJson(bundleOf(plane, id, { note, since }));
      // Each character takes three bytes at most.
      const byteCount = new TextEncoder().encode(text).length;
      if (byteCount <= RESPONSE_FRAME_BYTES_MAX - 1_024) return text;
      const message = `The bundle of ${id} has ${byteCount} bytes, more than an answer may have: ` +
        "read the log instead";
      throw new RegistryError("too_large", message);
    }
  }

  /** Returns a signed checkpoint. @throws RegistryError `not_found` without a genesis. */
  async checkpoint(deadlineMs: number): Promise<string> {
    const plane = this.#governed(await this.#current(deadlineMs));
    return await this.#parts.checkpoints.noteOf(plane);
  }

  /** Returns records of the audit, the oldest first. @throws RegistryError `invalid_argument`. */
  async audit(
    { after, limit }: GovernanceAuditRequest,
    deadlineMs: number,
  ): Promise<Input<GovernanceAuditReply>> {
    if (limit < 1 || limit > GOVERNANCE_AUDIT_PAGE_MAX) {
      throw invalid("limit", `be 1 to ${GOVERNANCE_AUDIT_PAGE_MAX}: found ${limit}`);
    }
    const { audit } = (await this.#current(deadlineMs)).store.state;
    const records = audit.records.filter(({ number }) => number > after).slice(0, limit);
    return { count: audit.count, records };
  }

  #governed({ store }: PlaneHere): GovernedPlane {
    if (store.plane !== undefined) return store.plane;
    throw new RegistryError(
      "not_found",
      "The registry is not governed: crs governance init begins that",
    );
  }

  /** Returns the group with all changes that were committed before. @throws RegistryError. */
  async #current(deadlineMs: number): Promise<PlaneHere> {
    const plane = this.#here();
    const { group } = plane;
    if (group.readPoint(0) === undefined) {
      const permitted = await group.readBarrier(0, this.#leftMs(deadlineMs));
      if (permitted instanceof RegistryError) throw permitted;
    }
    return plane;
  }

  #here(): PlaneHere {
    const plane = this.#parts.plane();
    if (plane !== undefined) return plane;
    // If it is placed here, it is about to be.
    const nodes = this.#parts.nodes();
    const [leaderHint] = nodes;
    if (leaderHint !== undefined && !nodes.includes(this.#parts.self)) {
      const message = "This node does not hold the governed plane";
      throw new RegistryError("not_replica", message, { leaderHint });
    }
    throw new RegistryError(
      "overloaded",
      "The governed plane is not here yet: it is placed once all nodes run a program that knows it",
      { retryAfterMs: VERSION_RETRY_MS },
    );
  }

  #leftMs(deadlineMs: number): number {
    const leftMs = deadlineMs - this.#parts.monotonic.nowMs();
    if (leftMs > 0) return leftMs;
    throw new RegistryError(
      "deadline_exceeded",
      "The request's deadline passed before it was served",
    );
  }
}

/** Returns the newest version of the log, or of the entries of one descriptor; 0 if there are none. */
function newestOf({ plane, version }: GovernanceStore, id: string): number {
  return id === "" ? version : plane?.log.headOf(id)?.entry.version ?? 0;
}

/** Iterates over the versions of {@link newestOf} after one of them. */
function* versionsAfter(
  { plane, version }: GovernanceStore,
  after: number,
  id: string,
): IterableIterator<number> {
  if (id === "") {
    for (let next = after + 1; next <= version; next++) yield next;
    return;
  }
  for (const { entry } of plane?.log.versionsOf(id) ?? []) {
    if (entry.version > after) yield entry.version;
  }
}

/** Returns the refusal of a payload that is too large, before it is logged; undefined if it is not. */
export function payloadRefusal(payload: Uint8Array): RegistryError | undefined {
  if (payload.length <= GOVERNED_PAYLOAD_BYTES_MAX) return undefined;
  const message = `A payload may have ${GOVERNED_PAYLOAD_BYTES_MAX} bytes: found ${payload.length}`;
  return new RegistryError("too_large", message, { field: "payload" });
}

function noProposal(number: number): RegistryError {
  return new RegistryError("not_found", `There is no open or applied proposal ${number}`);
}

function invalid(field: string, wanted: string): RegistryError {
  return new RegistryError("invalid_argument", `${field} must ${wanted}`, { field });
}
