/** Mutants of the governed plane and of its verification by clients; each is shown by a unit test. */
import type { Mutant } from "../mutant.ts";

const STORE_TEST = "tests/unit/governance/governance_store.test.ts";
const VERIFIER_TEST = "tests/unit/client/governed/governed_verifier.test.ts";
const MIRROR_TEST = "tests/unit/governance/mirror.test.ts";
const LOG = "src/governance/governed_log.ts";
const PLANE = "src/governance/governed_plane.ts";
const QUORUM = "src/governance/quorum.ts";
const VERIFY = "src/governance/verification/verify_bundle.ts";
const VERIFIER = "src/client/governed/governed_verifier.ts";

export const GOVERNANCE_MUTANTS: readonly Mutant[] = [
  {
    name: "key_counted_twice",
    breaks: "A signer counts once, whatever keys it had",
    test: STORE_TEST,
    edits: [{
      file: QUORUM,
      anchor: "if (set <= current.number && !current.revoked.has(key)) signers.add(signerId);",
      replacement:
        "if (set <= current.number && !current.revoked.has(key)) signers.add(signerId + key);",
    }],
  },
  {
    name: "threshold_of_new_set_alone",
    breaks: "Signers are changed under the quorum of the set that they replace, too",
    test: STORE_TEST,
    edits: [{
      file: QUORUM,
      anchor: "const missing = current.threshold - earlierApprovers(approvals, current);",
      replacement:
        "const missing = proposed ? 0 : current.threshold - earlierApprovers(approvals, current);",
    }],
  },
  {
    name: "version_skipped",
    breaks: "The versions of a descriptor rise by one",
    test: STORE_TEST,
    edits: [{
      file: PLANE,
      anchor: "if (version !== next || prev_hash !== previous) {",
      replacement: "if (version < next || prev_hash !== previous) {",
    }],
  },
  {
    name: "entry_replaced",
    breaks: "A version that was applied is never replaced",
    test: STORE_TEST,
    edits: [{
      file: PLANE,
      anchor: "if (version !== next || prev_hash !== previous) {",
      replacement: "if (version !== next - 1 && (version !== next || prev_hash !== previous)) {",
    }],
  },
  {
    name: "revoked_key_counts",
    breaks: "What a revoked key approved does not count, whenever it did",
    test: STORE_TEST,
    edits: [{
      file: QUORUM,
      anchor: "if (set <= current.number && !current.revoked.has(key)) signers.add(signerId);",
      replacement: "if (set <= current.number) signers.add(signerId);",
    }],
  },
  {
    name: "applied_after_expiry",
    breaks: "A proposal is applied within its time or never",
    test: STORE_TEST,
    edits: [{
      file: "src/governance/open_proposals.ts",
      anchor: "if (open.createdMs + PROPOSAL_LIFE_MS > nowMs) break;",
      replacement: "if (open.createdMs + PROPOSAL_LIFE_MS >= nowMs) break;",
    }],
  },
  {
    name: "signature_replayed",
    breaks: "A signature counts for one version of one descriptor",
    test: STORE_TEST,
    edits: [{
      file: PLANE,
      anchor: "    { contentId }: ReadPayload,",
      replacement: "    { contentId, payload }: ReadPayload,",
    }, {
      file: PLANE,
      anchor: "if (!this.#isSigned(decodeBase64(key)!, message, signature)) continue;",
      replacement: `const earlier = signingMessage(payload.prev_hash);
        const isEither = [message, earlier].some((one) =>
          this.#isSigned(decodeBase64(key)!, one, signature)
        );
        if (!isEither) continue;`,
    }],
  },
  {
    name: "frozen_applies_on",
    breaks: "While the registry is frozen only its signers and its freeze change",
    test: STORE_TEST,
    edits: [{
      file: PLANE,
      anchor: "if (!this.isFrozen || isOwnAction(action)) return;",
      replacement: "if (!this.isFrozen || isOwnAction(action) || action !== undefined) return;",
    }],
  },
  {
    name: "older_version_of_newer_log",
    breaks: "What a client reads of a log is the newest version in it",
    test: VERIFIER_TEST,
    edits: [{
      file: VERIFY,
      anchor: "(descriptor.id !== id || descriptor.entryVersion !== version)",
      replacement: "descriptor.id !== id",
    }],
  },
  {
    name: "earlier_signer_set_decides",
    breaks: "An entry was decided by the signer set that was in force at its place",
    test: VERIFIER_TEST,
    edits: [{ file: VERIFY, anchor: "    if (isInForce) return;", replacement: "    return;" }],
  },
  {
    name: "log_may_shrink",
    breaks: "A client accepts no log that is shorter than what it saw",
    test: VERIFIER_TEST,
    edits: [{
      file: VERIFIER,
      anchor: "if (found < last.size || signerSet < last.signerSet) {",
      replacement: "if (found < 0) {",
    }],
  },
  {
    name: "growth_is_not_proven",
    breaks: "A longer log has all of the shorter one",
    test: VERIFIER_TEST,
    edits: [{
      file: VERIFIER,
      anchor: "if (!extendsTree(checkpoint, last, consistency.proof)) {",
      replacement: "if (!extendsTree(checkpoint, checkpoint, [])) {",
    }],
  },
  {
    name: "mirrored_without_quorum",
    breaks: "A mirror takes an entry only with a quorum of the signers in force",
    test: MIRROR_TEST,
    edits: [{
      file: PLANE,
      anchor: 'if (fault !== undefined) throw new RegistryError("no_quorum", fault);',
      replacement: "",
    }],
  },
  {
    name: "mirrored_out_of_chain",
    breaks: "A mirror takes the next entry of its home, and no other",
    test: MIRROR_TEST,
    edits: [{
      file: LOG,
      anchor: 'if (!isNext) throw diverged(version, "names another entry before it");',
      replacement: "",
    }],
  },
  {
    name: "mirrored_with_other_heads",
    breaks: "The heads that an entry names are those of the entries before it and its own",
    test: MIRROR_TEST,
    edits: [{
      file: LOG,
      anchor: "if (heads !== formatSha256(this.heads.rootAfter(id, version))) {",
      replacement: "if (heads === undefined) {",
    }],
  },
  {
    name: "mirror_takes_proposals",
    breaks: "Proposals are made at the home alone",
    test: MIRROR_TEST,
    edits: [{
      file: PLANE,
      anchor:
        'if (this.isHome || read.action === "home" && namedRegion(read) === this.region) return;',
      replacement: "if (read.bytes.length > 0) return;",
    }],
  },
  {
    name: "old_home_applies_open_proposals",
    breaks: "After a quorum moved the home, the old one applies nothing",
    test: MIRROR_TEST,
    edits: [{
      file: PLANE,
      anchor: "    this.#checkHere(read);\n    this.#checkOpen(read);",
      replacement: "    this.#checkOpen(read);",
    }],
  },
  {
    name: "home_moved_by_one",
    breaks: "The home moves by a quorum",
    test: MIRROR_TEST,
    edits: [{
      file: PLANE,
      anchor: "    if (missing > 0) {\n      const message = `Proposal",
      replacement:
        '    if (missing > 0 && read.action !== "home") {\n      const message = `Proposal',
    }],
  },
  {
    name: "home_takes_any_entries",
    breaks: "A home takes entries of another region only if they begin with the move to it",
    test: MIRROR_TEST,
    edits: [{
      file: PLANE,
      anchor: 'if (this.isHome && (read.action !== "home" || namedRegion(read) === this.region)) {',
      replacement: "if (this.isHome && read.bytes.length === 0) {",
    }],
  },
];
