/**
 * The state machine of the governed plane: proposals that gather signatures, and the log of what a
 * quorum decided. Pure and deterministic; time comes with the commands.
 *
 * Nothing applies itself: a proposal with enough signatures is applied by request, and only if it is
 * still the next version of its descriptor. Every command is refused as a whole or done as a whole. A
 * refusal is recorded in the audit, unless the command was malformed or above a limit. While the registry
 * is frozen only its signers, its freeze and its home change.
 *
 * A mirror has the log of another region, its home, whose entries it verifies as a client would. It takes no
 * proposal but the one by which a quorum makes it the home.
 */
import {
  AddSignaturesCommandView,
  ApplyProposalCommandView,
  BeginMirrorCommandView,
  GovernInitCommandView,
  MirrorEntriesCommandView,
  ProposeCommandView,
} from "../../schemas/gen/governance.ts";
import type { CommandView } from "../../schemas/gen/command.ts";
import { RaiseApplyVersionCommandView } from "../../schemas/gen/system.ts";
import { assert } from "../base/assert.ts";
import { RegistryError } from "../base/errors.ts";
import {
  GOVERNED_CALLER_LENGTH_MAX,
  GOVERNED_MESSAGE_LENGTH_MAX,
  GROUP_TIME_MS_MAX,
  MIRRORED_ENTRIES_MAX,
  REGION_BYTES_MAX,
} from "../base/limits.ts";
import { COMMAND_KINDS, laterProgram, PARTITION_COMMAND_KIND_MAX } from "../record/command.ts";
import { type SignatureVerdict, verifyAgreed } from "../signing/ed25519_verdict.ts";
import { readGenesis } from "./documents/genesis.ts";
import { readPayload } from "./documents/payload.ts";
import { GOVERNANCE_KINDS, governanceCommandOf, isGovernanceKind } from "./governance_codec.ts";
import { loadGovernanceImage, writeGovernanceImage } from "./governance_image.ts";
import {
  GOVERNANCE_APPLY_VERSION_MAX,
  GovernanceState,
  MIRROR_APPLY_VERSION,
} from "./governance_state.ts";
import { GovernedPlane, type ProposalOutcome } from "./governed_plane.ts";
import type { OpenProposal } from "./open_proposals.ts";
import { keyCountOf } from "./signer_set.ts";

/** The reply to an entry of the group's log. */
export type GovernanceReply =
  | ({ readonly code: "ok" } & ProposalOutcome)
  | {
    readonly code: RegistryError["code"];
    readonly message: string;
    readonly retryAfterMs?: number;
  };

/** Facts about a command for the audit, filled in as they are read. */
interface CommandFacts {
  caller: string;
  proposal?: number;
  id?: string;
  contentId?: string;
}

/** Options of a {@link GovernanceStore}. */
export interface GovernanceStoreOptions {
  /** Called when the log has begun, has grown, or was replaced. */
  readonly onEntries?: () => void;
  /** Gives the verdict of {@link verifyAgreed}, faster where a runtime can. */
  readonly isSigned?: SignatureVerdict;
}

/** The state of the governed plane's group. */
export class GovernanceStore {
  #state = new GovernanceState();
  readonly #onEntries: () => void;
  readonly #isSigned: SignatureVerdict;

  constructor({ onEntries = () => {}, isSigned = verifyAgreed }: GovernanceStoreOptions = {}) {
    this.#onEntries = onEntries;
    this.#isSigned = isSigned;
  }

  /** The parts of the state. Replaced as a whole by an image. */
  get state(): GovernanceState {
    return this.#state;
  }

  /** The signers, the proposals and the log; undefined while the registry is ungoverned. */
  get plane(): GovernedPlane | undefined {
    return this.#state.plane;
  }

  /** The global version: the number of applied payloads. */
  get version(): number {
    return this.plane?.log.version ?? 0;
  }

  /** The version by which commands are applied. */
  get applyVersion(): number {
    return this.#state.applyVersion;
  }

  /** Last applied group time, ms. */
  get timeMs(): number {
    return this.#state.timeMs;
  }

  get appliedIndex(): number {
    return this.#state.appliedIndex;
  }

  /**
   * Applies the next entry.
   *
   * @throws RegistryError `unsupported_version` if only a later program knows the command, `corrupt` if a
   * document that was loaded is not what its entry names; the replica must stop then.
   */
  apply({ index, data }: { readonly index: number; readonly data: Uint8Array }): GovernanceReply {
    const state = this.#state;
    assert(
      index > state.appliedIndex,
      `Entry to apply must be above ${state.appliedIndex}: its index is ${index}`,
    );
    state.appliedIndex = index;
    try {
      const command = governanceCommandOf(data);
      if (command.timeMs > GROUP_TIME_MS_MAX) {
        return { code: "malformed", message: `Time must be at most ${GROUP_TIME_MS_MAX}` };
      }
      state.timeMs = Math.max(state.timeMs, command.timeMs);
      this.#expire(command.unixS);
      return this.#dispatch(command);
    } catch (error) {
      return refusalOf(error);
    }
  }

  /** Returns the state as chunks of an image. Equal states give equal bytes. */
  writeImage(): Generator<Uint8Array, void, undefined> {
    return writeGovernanceImage(this.#state);
  }

  /**
   * Loads a whole image, given as chunks of any sizes, in place of this state.
   *
   * @throws RegistryError `corrupt`, `unsupported_version`; the state is as before then.
   */
  loadImage(chunks: Iterable<Uint8Array>): void {
    this.#state = loadGovernanceImage(chunks, this.#isSigned);
  }

  /** Takes the state of another store, which must not be used any more. */
  replaceBy(other: GovernanceStore): void {
    this.#state = other.#state;
    this.#onEntries();
  }

  #dispatch(command: CommandView): GovernanceReply {
    const { kind } = command;
    switch (kind) {
      case COMMAND_KINDS.tick:
        return { code: "ok" };
      case COMMAND_KINDS.raiseApplyVersion:
        return this.#raise(command);
      case GOVERNANCE_KINDS.init:
        return this.#init(command);
      case GOVERNANCE_KINDS.propose:
        return this.#propose(command);
      case GOVERNANCE_KINDS.addSignatures:
        return this.#addSignatures(command);
      case GOVERNANCE_KINDS.applyProposal:
        return this.#applyProposal(command);
      case GOVERNANCE_KINDS.beginMirror:
        this.#checkMirrors(kind);
        return this.#beginMirror(command);
      case GOVERNANCE_KINDS.mirrorEntries:
        this.#checkMirrors(kind);
        return this.#mirrorEntries(command);
    }
    if (isGovernanceKind(kind) || kind <= PARTITION_COMMAND_KIND_MAX) {
      return { code: "malformed", message: `A log must not hold commands of kind ${kind}` };
    }
    throw laterProgram(`command kind ${kind} of the governed plane`);
  }

  /** Programs that do not know mirrors stop at their commands; so does this one before their version. */
  #checkMirrors(kind: number): void {
    if (this.#state.applyVersion >= MIRROR_APPLY_VERSION) return;
    throw laterProgram(`command kind ${kind} of the governed plane`);
  }

  #raise(command: CommandView): GovernanceReply {
    const { version } = command.bodyInto(new RaiseApplyVersionCommandView());
    if (version > GOVERNANCE_APPLY_VERSION_MAX) throw laterProgram(`apply version ${version}`);
    if (version <= this.#state.applyVersion) {
      const message = `Apply version must be above ${this.#state.applyVersion}: found ${version}`;
      return { code: "incarnation_mismatch", message };
    }
    this.#state.applyVersion = version;
    return { code: "ok" };
  }

  #init(command: CommandView): GovernanceReply {
    return this.#audited("init", command, (facts) => {
      const { genesis: bytes, caller } = command.bodyInto(new GovernInitCommandView()).toPlain();
      this.#charge(caller, 1, facts);
      const genesis = readGenesis(bytes, this.#state.applyVersion);
      const found = this.plane?.genesis.hash ?? genesis.hash;
      if (found !== genesis.hash) {
        throw new RegistryError("stale_version", `The registry has a genesis already: ${found}`);
      }
      if (this.plane === undefined) {
        this.#state.plane = new GovernedPlane(genesis, this.#isSigned);
        this.#onEntries();
      }
      return {};
    });
  }

  #propose(command: CommandView): GovernanceReply {
    return this.#audited("propose", command, (facts) => {
      const body = command.bodyInto(new ProposeCommandView()).toPlain();
      const { payload, signatures, caller, region } = body;
      this.#charge(caller, 1 + signatures.length, facts);
      const plane = this.#governed(region);
      const read = readPayload(payload, this.#state.applyVersion);
      facts.id = read.payload.id;
      facts.contentId = read.contentId;
      if (read.action === "signers") this.#charge(caller, keyCountOf(read.payload.body), facts);
      const at = { timeMs: this.timeMs, unixS: command.unixS };
      return this.#charged(facts, signatures.length > 0, () => {
        const { outcome, closed } = plane.propose(read, signatures, caller, at);
        for (const open of closed) this.#recordEnd("evict", open, command.unixS);
        return outcome;
      });
    });
  }

  #addSignatures(command: CommandView): GovernanceReply {
    return this.#audited("sign", command, (facts) => {
      const body = command.bodyInto(new AddSignaturesCommandView()).toPlain();
      this.#charge(body.caller, 1 + body.signatures.length, facts);
      const plane = this.#governed();
      const { proposal, signatures } = body;
      this.#name(proposal, facts);
      const isSigned = signatures.length > 0;
      return this.#charged(facts, isSigned, () => plane.addSignatures(proposal, signatures));
    });
  }

  #applyProposal(command: CommandView): GovernanceReply {
    return this.#audited("apply", command, (facts) => {
      const body = command.bodyInto(new ApplyProposalCommandView()).toPlain();
      const { proposal, caller, region } = body;
      this.#charge(caller, 1, facts);
      const plane = this.#governed(region);
      this.#name(proposal, facts);
      return this.#charged(facts, true, () => {
        const { outcome, closed } = plane.applyProposal(proposal, {
          unixS: command.unixS,
          applyVersion: this.#state.applyVersion,
        });
        for (const open of closed) this.#recordEnd("outdate", open, command.unixS);
        this.#onEntries();
        return outcome;
      });
    });
  }

  #beginMirror(command: CommandView): GovernanceReply {
    return this.#audited("mirror", command, (facts) => {
      const body = command.bodyInto(new BeginMirrorCommandView()).toPlain();
      const { genesis: bytes, home, region, caller } = body;
      this.#charge(caller, 1, facts);
      const genesis = readGenesis(bytes, this.#state.applyVersion);
      if (home === "" || home === region || home.length > REGION_BYTES_MAX) {
        throw new RegistryError("invalid_argument", "The home must be another region", {
          field: "region",
        });
      }
      const found = this.plane?.genesis.hash ?? genesis.hash;
      if (found !== genesis.hash) {
        throw new RegistryError("stale_version", `The registry has a genesis already: ${found}`);
      }
      if (this.plane === undefined) {
        const plane = this.#state.plane = new GovernedPlane(genesis, this.#isSigned);
        plane.began = home;
        plane.region = region;
        this.#onEntries();
      }
      return { version: this.version };
    });
  }

  /** Takes entries up to the first that is refused: each stands by its own signatures. */
  #mirrorEntries(command: CommandView): GovernanceReply {
    const state = this.#state;
    const { version } = this;
    const { after, entries, region, caller } = command.bodyInto(new MirrorEntriesCommandView())
      .toPlain();
    try {
      const plane = this.#governed(region);
      if (entries.length > MIRRORED_ENTRIES_MAX) {
        throw new RegistryError(
          "malformed",
          `There may be ${MIRRORED_ENTRIES_MAX} entries at once`,
        );
      }
      if (after !== version) {
        const message = `The entries must follow version ${version}: they follow ${after}`;
        // Another leader has mirrored them.
        return { code: "incarnation_mismatch", message };
      }
      for (const entry of entries) {
        for (const open of plane.mirror(entry, state.applyVersion)) {
          this.#recordEnd("outdate", open, command.unixS);
        }
      }
      state.mirrorRefusal = "";
      return { code: "ok", version: this.version };
    } catch (error) {
      const refusal = refusalOf(error);
      state.mirrorRefused++;
      // The home sends the same again until somebody acts.
      if (state.mirrorRefusal !== refusal.message) {
        const { unixS } = command;
        state.audit.record({ action: "mirror", unixS, caller, ...refusal });
      }
      state.mirrorRefusal = refusal.message;
      return refusal;
    } finally {
      if (this.version > version) this.#onEntries();
    }
  }

  /** Runs a command, and records its result unless it was malformed or above a limit. */
  #audited(
    action: "init" | "propose" | "sign" | "apply" | "mirror",
    { unixS }: CommandView,
    run: (facts: CommandFacts) => ProposalOutcome,
  ): GovernanceReply {
    const { audit } = this.#state;
    const facts: CommandFacts = { caller: "" };
    try {
      const outcome = run(facts);
      audit.record({ proposal: outcome.proposal, ...facts, action, unixS, code: "ok" });
      return { code: "ok", ...outcome };
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal.code !== "overloaded" && refusal.code !== "malformed") {
        audit.record({ ...facts, action, unixS, ...refusal });
      }
      return refusal;
    }
  }

  #charge(caller: string, count: number, facts: CommandFacts): void {
    if (caller.length > GOVERNED_CALLER_LENGTH_MAX) {
      throw new RegistryError("malformed", "The name of a caller is too long");
    }
    this.#state.quotas.chargeCaller(caller, count, this.timeMs);
    facts.caller = caller;
  }

  /**
   * Runs a command under the quota of its descriptor. A command with signatures, or to apply a proposal,
   * is charged only if it is refused: otherwise whoever may propose could use up the quota and keep the
   * signers out.
   */
  #charged(
    { id }: CommandFacts,
    isSigned: boolean,
    run: () => ProposalOutcome,
  ): ProposalOutcome {
    const charge = () => {
      if (id !== undefined) this.#state.quotas.chargeId(id, this.timeMs);
    };
    if (!isSigned) charge();
    try {
      return run();
    } catch (error) {
      if (isSigned) charge();
      throw error;
    }
  }

  /** Completes the facts of a command about a proposal. */
  #name(proposal: number, facts: CommandFacts): void {
    facts.proposal = proposal;
    const read = this.plane?.proposals.of(proposal)?.read;
    if (read === undefined) return;
    facts.id = read.payload.id;
    facts.contentId = read.contentId;
  }

  /** @param region the cluster's own one, as a command names it. */
  #governed(region = ""): GovernedPlane {
    const { plane, applyVersion } = this.#state;
    if (plane !== undefined) {
      const isNew = applyVersion >= MIRROR_APPLY_VERSION && plane.region === "";
      if (isNew && region.length <= REGION_BYTES_MAX) plane.region = region;
      return plane;
    }
    throw new RegistryError(
      "permission_denied",
      "The registry must have signers before it takes proposals: it has no genesis",
    );
  }

  #expire(unixS: number): void {
    for (const open of this.plane?.proposals.expire(this.timeMs) ?? []) {
      this.#recordEnd("expire", open, unixS);
    }
  }

  #recordEnd(
    action: "expire" | "outdate" | "evict",
    { number, read, caller }: OpenProposal,
    unixS: number,
  ): void {
    const facts = { caller, id: read.payload.id, contentId: read.contentId, proposal: number };
    this.#state.audit.record({ ...facts, action, unixS, code: "ok" });
  }
}

/** Codes of failures that are those of this replica alone, so no refusals. */
const STOPPING: readonly string[] = ["corrupt", "unsupported_version"];

/**
 * Returns the reply of a refusal. An error of another kind is a bug, a state that is corrupt is that of this
 * replica alone, and what only a later program knows others may have accepted: each stops the replica.
 */
function refusalOf(error: unknown) {
  if (!(error instanceof RegistryError) || STOPPING.includes(error.code)) throw error;
  const { code, fields: { retryAfterMs } } = error;
  // It may quote a document, which is larger than a reply and a record of the audit may be.
  const message = error.message.slice(0, GOVERNED_MESSAGE_LENGTH_MAX);
  return { code, message, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}
