/**
 * The log of the governed plane: every applied payload, in one order, for ever. Entries are chained by
 * their hashes, are the leaves of the Merkle tree, and name the root of the heads.
 */
import { bytesEqual } from "../base/bytes.ts";
import { RegistryError } from "../base/errors.ts";
import type { GovernedEntryRecord } from "../../schemas/gen/governance.ts";
import type { Input } from "../../schemas/runtime.ts";
import { MIRRORED_PROPOSAL_MAX } from "../base/limits.ts";
import { contentHashOf, contentIdOfHash, formatSha256 } from "./documents/content_id.ts";
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
  /** The payload's bytes. */
  readonly payload: Uint8Array;
  readonly read: ReadPayload;
}

/** Where an entry stands, and what is needed to find it. */
type EntryPlace =
  & Pick<GovernedEntry, "id" | "kind" | "idVersion" | "contentId" | "proposal" | "signers">
  & { readonly leafHash: Uint8Array };

/** An entry that was loaded; its documents are read when somebody asks for them. */
class LoadedEntry implements AppliedEntry {
  readonly leaf: Uint8Array;
  readonly payload: Uint8Array;
  readonly #place: EntryPlace;
  #entry: GovernedEntry | undefined;
  #read: ReadPayload | undefined;

  constructor(leaf: Uint8Array, payload: Uint8Array, place: EntryPlace) {
    this.leaf = leaf;
    this.payload = payload;
    this.#place = place;
  }

  /** @throws RegistryError `corrupt` if it is not the entry that was loaded. */
  get entry(): GovernedEntry {
    if (this.#entry !== undefined) return this.#entry;
    const { id, kind, idVersion, contentId, proposal, signers } = this.#place;
    const entry = unspoiled(() => readEntry(this.leaf));
    const isLoaded = bytesEqual(leafHash(this.leaf), this.#place.leafHash) && entry.id === id &&
      entry.kind === kind && entry.idVersion === idVersion &&
      entry.contentId === contentId && entry.proposal === proposal && entry.signers === signers;
    if (!isLoaded) throw wrongEntry(`the entry of ${id}, version ${idVersion}`);
    return this.#entry = entry;
  }

  /** @throws RegistryError `corrupt` if it is not the payload that the entry names. */
  get read(): ReadPayload {
    if (this.#read !== undefined) return this.#read;
    const read = unspoiled(() => readPayload(this.payload));
    const { payload: { id, kind, version }, contentId, schema } = read;
    const { entry } = this;
    const isNamed = contentId === entry.contentId && schema === entry.payloadSchema &&
      id === entry.id && kind === entry.kind && version === entry.idVersion;
    if (!isNamed) throw wrongEntry(`the payload of ${entry.id}, version ${entry.idVersion}`);
    return this.#read = read;
  }
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
  /** The version that changed the regions last. */
  #regionsVersion = 0;
  #regionMap: RegionMap | undefined;
  readonly #genesis: string;
  #byteCount = 0;

  /** @param genesis hash of the genesis. */
  constructor(genesis: string) {
    this.#genesis = genesis;
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
      this.#regionsVersion,
      Array.from(this.#regions.values(), (id) => publishedBody(this.headOf(id)!.read)!),
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
      previous: this.#hashBefore(version),
      id,
      kind,
      idVersion,
      payloadSchema: read.schema,
      contentId: read.contentId,
      heads: formatSha256(this.heads.root),
    };
    const leaf = entryBytes(entry, applyVersion);
    const applied = { entry, leaf, payload: read.bytes, read };
    return this.#take(applied, { ...entry, leafHash: leafHash(leaf) });
  }

  /**
   * Appends an entry of another region's log, whose payload and signatures were verified.
   *
   * @throws RegistryError `stale_version` if it is not the next one: another number, another entry before
   * it, other heads, or a proposal that became an entry already. Nothing is changed then.
   */
  appendMirrored(entry: GovernedEntry, leaf: Uint8Array, read: ReadPayload): AppliedEntry {
    const version = this.version + 1;
    const { id, idVersion, previous, heads, proposal } = entry;
    const { payload } = read;
    const isNext = entry.version === version && previous === this.#hashBefore(version);
    const isOf = entry.contentId === read.contentId && entry.payloadSchema === read.schema &&
      id === payload.id && entry.kind === payload.kind && idVersion === payload.version;
    if (!isNext) throw diverged(version, "names another entry before it");
    if (!isOf) throw diverged(version, "names another payload");
    if (heads !== formatSha256(this.heads.rootAfter(id, version))) {
      throw diverged(version, "names other heads");
    }
    if (this.#byProposal.has(proposal) || proposal > MIRRORED_PROPOSAL_MAX) {
      throw diverged(version, `names proposal ${proposal}`);
    }
    this.heads.set(id, version);
    return this.#take({ entry, leaf, payload: read.bytes, read }, {
      ...entry,
      leafHash: leafHash(leaf),
    });
  }

  /**
   * Appends an entry of an image, or as a node sends it, whose signatures were verified before. Its
   * documents are not read; {@link checkLoaded} completes the check.
   *
   * @throws RegistryError `corrupt` if it is not the next version of its descriptor.
   */
  load(record: GovernedEntryRecord): AppliedEntry {
    const place = record.leafHash.length === 0 ? placeIn(record.leaf) : placeOf(record);
    const { id, idVersion } = place;
    const next = this.versionsOf(id).length + 1;
    if (idVersion !== next) throw wrongEntry(`version ${next} of ${id}, not ${idVersion}`);
    this.heads.set(id, this.version + 1);
    return this.#take(new LoadedEntry(record.leaf, record.payload, place), place);
  }

  /**
   * Checks the newest of the loaded entries: it stands where it says, after the one before, and names the
   * heads that all of them give.
   *
   * @throws RegistryError `corrupt`.
   */
  checkLoaded(): void {
    const last = this.#entries.at(-1);
    if (last === undefined) return;
    const { version, previous, heads } = last.entry;
    const isSound = version === this.version && previous === this.#hashBefore(version) &&
      heads === formatSha256(this.heads.root);
    if (!isSound) throw wrongEntry(`the newest entry, ${version}, after those before`);
  }

  /** Returns the record of an entry. @param version global version, from 1. */
  recordOf(version: number): Input<GovernedEntryRecord> {
    const { entry, leaf, payload } = this.#entries[version - 1]!;
    const { id, kind, idVersion, contentId, proposal, signers } = entry;
    return {
      ...{ leaf, payload, id, kind, idVersion, proposal, signers },
      leafHash: this.tree.hashAt(0, version - 1)!,
      contentHash: contentHashOf(contentId)!,
    };
  }

  /** Returns the hash of the entry before a version, or of the genesis. */
  #hashBefore(version: number): string {
    return version === 1 ? this.#genesis : entryHash(this.#entries[version - 2]!.leaf);
  }

  #take(applied: AppliedEntry, place: EntryPlace): AppliedEntry {
    const { id, kind, contentId, proposal, leafHash: hash } = place;
    this.tree.append(hash);
    this.#byteCount += applied.leaf.length + applied.payload.length;
    if (kind === "region_map") this.#moveRegion(id, publishedBody(applied.read));
    this.#entries.push(applied);
    const versions = this.#byId.get(id);
    if (versions === undefined) this.#byId.set(id, [applied]);
    else versions.push(applied);
    this.#byContent.set(contentId, applied);
    this.#byProposal.set(proposal, applied);
    return applied;
  }

  /** Updates the regions by the next entry. @param body its region; undefined if it is deprecated. */
  #moveRegion(id: string, body: JsonObject | undefined): void {
    const before = this.headOf(id)?.read;
    const bodyBefore = before === undefined ? undefined : publishedBody(before);
    if (bodyBefore !== undefined) this.#regions.delete(regionIdOf(bodyBefore));
    if (body !== undefined) this.#regions.set(regionIdOf(body), id);
    this.#regionsVersion = this.version + 1;
    this.#regionMap = undefined;
  }
}

/** Returns the place that a record states. @throws RegistryError `corrupt` if a hash is too short. */
function placeOf({ contentHash, ...place }: GovernedEntryRecord): EntryPlace {
  const contentId = contentIdOfHash(contentHash);
  if (contentId === undefined || place.leafHash.length !== HASH_BYTES) {
    throw wrongEntry(`hashes of ${HASH_BYTES} bytes`);
  }
  return { ...place, contentId };
}

/** Returns the place that an entry states, for records without one. @throws RegistryError. */
function placeIn(leaf: Uint8Array): EntryPlace {
  return { ...readEntry(leaf), leafHash: leafHash(leaf) };
}

/**
 * Reads a document that was loaded. One that cannot be read is spoiled here alone, which must not pass for
 * the refusal of a command, in which all replicas agree.
 *
 * @throws RegistryError `corrupt`; `unsupported_version`.
 */
function unspoiled<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    const isRefusal = error instanceof RegistryError && error.code !== "unsupported_version";
    throw isRefusal ? new RegistryError("corrupt", error.message, {}, error) : error;
  }
}

const HASH_BYTES = 32;

/** Refuses an entry of another region's log. */
function diverged(version: number, found: string): RegistryError {
  return new RegistryError(
    "stale_version",
    `Entry ${version} of the home must follow entry ${version - 1} here: it ${found}`,
  );
}

function wrongEntry(wanted: string): RegistryError {
  return new RegistryError("corrupt", `The governed log must have ${wanted}: it does not`);
}
