/** Mutants of capabilities and of limits on reads; each is shown by a test without a cluster. */
import type { Mutant } from "../mutant.ts";

const CAPABILITY_TEST = "tests/unit/identity/capabilities/capability.test.ts";
const LIMITS_TEST = "tests/unit/serving/read_limits.test.ts";
const ATTACK = "tests/attack/fronts.test.ts";
const DELIVERY = "src/serving/watch/live_delivery.ts";

export const IDENTITY_MUTANTS: readonly Mutant[] = [
  {
    name: "caveat_without_signature",
    breaks: "Nobody can take a caveat from a capability",
    test: CAPABILITY_TEST,
    edits: [{
      file: "identity/capabilities/capability.ts",
      anchor: "  for (const caveat of caveats) signature = hmac(sha256, signature, caveat);",
      replacement:
        "  for (const caveat of caveats.slice(0, 2)) signature = hmac(sha256, signature, caveat);",
    }],
  },
  {
    name: "last_scope_counts",
    breaks: "A caveat only narrows: scopes are those of all of them",
    test: CAPABILITY_TEST,
    edits: [{
      file: "identity/capabilities/verify.ts",
      anchor: "  const [first, ...others] = listsOf(caveats, kind);",
      replacement: "  const [first, ...others] = listsOf(caveats, kind).slice(-1);",
    }],
  },
  {
    name: "request_not_compared",
    breaks: "What a capability gives is for requests within its caveats alone",
    test: CAPABILITY_TEST,
    edits: [{
      file: "identity/capabilities/guarded.ts",
      anchor: "    const fault = this.#caveats.faultOf(request);",
      replacement:
        '    const fault = request.path === "" ? this.#caveats.faultOf(request) : undefined;',
    }],
  },
  {
    name: "banned_capability_stays",
    breaks: "A ban of a capability ends its delegations",
    test: ATTACK,
    edits: [{
      file: "identity/trust/ban_list.ts",
      anchor: "  if (capabilityId !== undefined) return [`capability ${capabilityId}`];",
      replacement: "  if (capabilityId !== undefined) return [];",
    }],
  },
  {
    name: "token_alone_unlimited",
    breaks: "A token alone permits no reads that the certificate does not",
    test: ATTACK,
    edits: [{
      file: "src/node/delegated_identity.ts",
      anchor: "  const grants = reads === undefined ? NO_GRANTS : { ...NO_GRANTS, reads };",
      replacement: "  const grants = NO_GRANTS;",
    }],
  },
  {
    name: "form_outside_limits_shown",
    breaks: "Of a record that leaves the limits on reads, a watch does not tell the new form",
    test: LIMITS_TEST,
    edits: [{
      file: DELIVERY,
      anchor: "  const isSecret = filter.isFeed || !matcher.isReadable(filter, kind, record);",
      replacement: "  const isSecret = filter.isFeed;",
    }],
  },
  {
    name: "form_before_outside_limits",
    breaks:
      "Of a record that comes within the limits on reads, a watch does not tell the form before",
    test: LIMITS_TEST,
    edits: [{
      file: DELIVERY,
      anchor: "(before.end === before.start || matcher.isReadable(filter, kind, before))",
      replacement: "(before.end === before.start || before.end > 0)",
    }],
  },
  {
    name: "ranking_without_limits",
    breaks: "A ranking is of the gateways that the peer may read",
    test: LIMITS_TEST,
    edits: [{
      file: "src/store/store.ts",
      anchor: "      if (mayOffer(slot)) ranking.offer(this, slot, gateway, isSuspended);",
      replacement: "      ranking.offer(this, slot, gateway, isSuspended);",
    }],
  },
];
