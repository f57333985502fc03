/**
 * The log of the governed plane: every applied payload, in one order, for ever. Entries are chained by
 * their hashes, are the leaves of the Merkle tree, and name the root of the heads.
 */
import { assert } from "../base/assert.ts";
import { RegistryError } from "../base/errors.ts";
import { formatSha256 } from "./documents/content_id.ts";
import {
  type EntryApproval,
  entryBytes,
  entryHash,
  type GovernedEntry,
  readEntry,
} from "./documents/entry.ts";
import type { JsonObject } from "./documents/json_members.ts";
import { publishedBody, type ReadPayload, readPayload } from "./documents/payload.ts";
import { regionIdOf, type RegionMap, regionMapOf } from "./documents/region_map.ts";
import { HeadsTree } from "./tree/heads_tree.ts";
import { leafHash, MerkleTree } from "./tree/merkle_tree.ts";

/** An applied payload. */
export interface AppliedEntry {
  readonly entry: GovernedEntry;
  /** The entry's bytes. */
  readonly leaf: Uint8Array;
  readonly read: ReadPayload;
}

/** Fields of an entry that the caller gives; the log adds its place, its payload and its hashes. */
export interface EntryFacts {
  readonly proposal: number;
  readonly committedAt: number;
  /** Number of the signer set that decided. */
  readonly signers: number;
  readonly approvals: readonly EntryApproval[];
}

/** The state of a version of a descriptor. */
export type DescriptorState = "published" | "replaced" | "superseded" | "deprecated";

/** The log. */
export class GovernedLog {
  readonly tree: MerkleTree = new MerkleTree();
  readonly heads: HeadsTree = new HeadsTree();
  readonly #entries: AppliedEntry[] = [];
  readonly #byId = new Map<string, AppliedEntry[]>();
  readonly #byContent = new Map<string, AppliedEntry>();
  readonly #byProposal = new Map<number, AppliedEntry>();
  /** The id of the published descriptor of each region. */
  readonly #regions = new Map<string, string>();
  #regionMap: RegionMap | undefined;
  #lastHash: string;
  #byteCount = 0;

  /** @param genesis hash of the genesis. */
  constructor(genesis: string) {
    this.#lastHash = genesis;
  }

  /** The global version: the number of entries. */
  get version(): number {
    return this.#entries.length;
  }

  /** Bytes of all entries and payloads. */
  get byteCount(): number {
    return this.#byteCount;
  }

  /** The entries in order. */
  get entries(): readonly AppliedEntry[] {
    return this.#entries;
  }

  /** The ids of all descriptors, in the order of their first versions. */
  get ids(): Iterable<string> {
    return this.#byId.keys();
  }

  /** Returns the entry of a global version. */
  at(version: number): AppliedEntry | undefined {
    return this.#entries[version - 1];
  }

  /** Returns all versions of a descriptor, from the first on. */
  versionsOf(id: string): readonly AppliedEntry[] {
    return this.#byId.get(id) ?? [];
  }

  /** Returns the newest version of a descriptor. */
  headOf(id: string): AppliedEntry | undefined {
    return this.#byId.get(id)?.at(-1);
  }

  /** Returns the entry with that payload. */
  withContent(contentId: string): AppliedEntry | undefined {
    return this.#byContent.get(contentId);
  }

  /** Returns the entry that a proposal became. */
  ofProposal(proposal: number): AppliedEntry | undefined {
    return this.#byProposal.get(proposal);
  }

  /** Returns the id of the descriptor that describes a region, if one is published. */
  describing(region: string): string | undefined {
    return this.#regions.get(region);
  }

  /** The map of all regions that are described. */
  get regionMap(): RegionMap {
    return this.#regionMap ??= regionMapOf(
      Array.from(this.#regions.values(), (id) => {
        const { entry, read } = this.headOf(id)!;
        return { version: entry.version, body: publishedBody(read)! };
      }),
    );
  }

  /** Returns the state of a version. */
  stateOf({ entry, read }: AppliedEntry): DescriptorState {
    const next = this.versionsOf(entry.id)[entry.idVersion];
    if (next === undefined) return read.action === "deprecation" ? "deprecated" : "published";
    return next.read.action === "supersession" ? "superseded" : "replaced";
  }

  /**
   * Appends a payload that was decided.
   *
   * @param applyVersion decides the schema of the entry, so that all replicas write the same bytes.
   */
  append(read: ReadPayload, facts: EntryFacts, applyVersion: number): AppliedEntry {
    const { id, kind, version: idVersion } = read.payload;
    const version = this.version + 1;
    this.heads.set(id, version);
    const entry: GovernedEntry = {
      ...facts,
      version,
      previous: this.#lastHash,
      id,
      kind,
      idVersion,
      payloadSchema: read.schema,
      contentId: read.contentId,
      heads: formatSha256(this.heads.root),
    };
    return this.#take({ entry, leaf: entryBytes(entry, applyVersion), read });
  }

  /**
   * Appends an entry of an image, whose signatures were verified before it was written.
   *
   * @throws RegistryError `corrupt` if it does not follow the entries before it.
   * {@link checkLoaded} completes the check.
   */
  load(leaf: Uint8Array, payload: Uint8Array): AppliedEntry {
    const read = readPayload(payload);
    const entry = readEntry(leaf);
    this.heads.set(entry.id, entry.version);
    const { id, kind, version } = read.payload;
    const isNext = entry.version === this.version + 1 && entry.previous === this.#lastHash &&
      entry.contentId === read.contentId &&
      entry.id === id && entry.kind === kind && entry.idVersion === version &&
      entry.payloadSchema === read.schema && version === this.versionsOf(id).length + 1;
    if (!isNext) {
      throw new RegistryError("corrupt", `Entry ${this.version + 1} must follow: it does not`);
    }
    return this.#take({ entry, leaf, read });
  }

  /** Checks that the loaded entries give the heads that the last one names. */
  checkLoaded(): void {
    const last = this.#entries.at(-1);
    if (last === undefined || last.entry.heads === formatSha256(this.heads.root)) return;
    throw new RegistryError("corrupt", `Entry ${this.version} must name the heads: it does not`);
  }

  #take(applied: AppliedEntry): AppliedEntry {
    const { entry, leaf, read } = applied;
    assert(entry.version === this.version + 1, "Entries are appended in order");
    this.tree.append(leafHash(leaf));
    this.#lastHash = entryHash(leaf);
    this.#byteCount += leaf.length + read.bytes.length;
    if (entry.kind === "region_map") this.#moveRegion(entry.id, publishedBody(read));
    this.#entries.push(applied);
    const versions = this.#byId.get(entry.id);
    if (versions === undefined) this.#byId.set(entry.id, [applied]);
    else versions.push(applied);
    this.#byContent.set(entry.contentId, applied);
    this.#byProposal.set(entry.proposal, applied);
    return applied;
  }

  #moveRegion(id: string, body: JsonObject | undefined): void {
    const before = this.headOf(id)?.read;
    const bodyBefore = before === undefined ? undefined : publishedBody(before);
    if (bodyBefore !== undefined) this.#regions.delete(regionIdOf(bodyBefore));
    if (body !== undefined) this.#regions.set(regionIdOf(body), id);
    this.#regionMap = undefined;
  }
}
