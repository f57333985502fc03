/**
 * Capabilities: minted under a root key of this node, and verified under whichever root key they
 * name. A node that lacks the key asks one that has it; the key itself never leaves a node.
 */
import type { CapabilityRights } from "../../base/capability.ts";
import { RegistryError, toRegistryError } from "../../base/errors.ts";
import { CAPABILITY_HOLDERS_ASKED_MAX, CAPABILITY_LIFE_MS_MAX } from "../../base/limits.ts";
import type { AuthenticatedPeer } from "../../base/peer.ts";
import { formatUuid, UUID_BYTES } from "../../base/uuid.ts";
import type { Entropy, WallClock } from "../../base/world.ts";
import { CAPABILITIES_APPLY_VERSION } from "../../system/identity_codec.ts";
import { mintCapability, readCapability } from "../../../identity/capabilities/capability.ts";
import { type Caveat, caveatsText, decodeCaveats } from "../../../identity/capabilities/caveat.ts";
import type { Guarded } from "../../../identity/capabilities/guarded.ts";
import type { RootKey } from "../../../identity/capabilities/root_key.ts";
import {
  capabilityRefused,
  guardedRights,
  verifyCapability,
} from "../../../identity/capabilities/verify.ts";
import type { BanList } from "../../../identity/trust/ban_list.ts";
import { checkVersion, type IdentityGroup, invalid } from "./identity_group.ts";

/** Dependencies of a {@link CapabilityService}. */
export interface CapabilityServiceParts {
  readonly wall: WallClock;
  readonly entropy: Entropy;
  readonly bans: BanList;
}

/** Mints and verifies capabilities. */
export class CapabilityService {
  readonly #group: IdentityGroup;
  readonly #parts: CapabilityServiceParts;

  constructor(group: IdentityGroup, parts: CapabilityServiceParts) {
    this.#group = group;
    this.#parts = parts;
  }

  /**
   * Mints a capability; audited by its id before it is handed out.
   *
   * @param order.caveats encoded; with a scope, and without an expiry unless it is to end sooner.
   * @throws RegistryError `invalid_argument`, `too_large`; `not_leader` with the hint to a node that
   * has a root key; `invalid_configuration` if no node has one; and those of a commit.
   */
  async mint(
    { caveats, lifeMs }: { readonly caveats: Uint8Array; readonly lifeMs: number },
    { lineage }: AuthenticatedPeer,
    deadlineMs: number,
  ): Promise<string> {
    await this.#group.current();
    checkCapabilitiesVersion(this.#group);
    const root = this.#signingKey();
    const decoded = decodeCaveats(caveats);
    if (typeof decoded === "string") throw invalid("caveats", `be valid: found ${decoded}`);
    if (!(lifeMs >= 1_000 && lifeMs <= CAPABILITY_LIFE_MS_MAX)) {
      throw invalid("lifeMs", `be in [1000, ${CAPABILITY_LIFE_MS_MAX}]: found ${lifeMs}`);
    }
    const id = new Uint8Array(UUID_BYTES);
    this.#parts.entropy.fill(id);
    id[6] = (id[6]! & 0x0f) | 0x40;
    id[8] = (id[8]! & 0x3f) | 0x80;
    const endMs = this.#parts.wall.unixMs() + lifeMs;
    const expiry: Caveat = { kind: "expiry", atMs: Math.floor(endMs / 1_000) * 1_000 };
    const all = [...decoded.map(({ caveat }) => caveat), expiry];
    const text = mintCapability(root, id, all);
    const note = { subject: formatUuid(id), detail: caveatsText(all) };
    await this.#group.note({ action: "capability", ...note }, lineage, deadlineMs);
    return text;
  }

  /**
   * Verifies a capability, here or by a node that has its root key.
   *
   * @param mayAsk whether other nodes may be asked.
   * @returns its rights, guarded by the caveats that only the face can check.
   * @throws RegistryError `unauthenticated` with the fault; `not_found` if this node lacks its root key
   * and may not ask; `connection_lost` and the like if a node that may have it cannot be reached.
   */
  async verify(text: string, mayAsk: boolean): Promise<Guarded<CapabilityRights>> {
    const { rootKeys } = this.#group;
    const verdict = verifyCapability(text, {
      keyOf: (keyId) => rootKeys.find((key) => key.keyId === keyId),
      isBanned: (id) => this.#isBanned(id),
    }, this.#parts.wall.unixMs());
    if (typeof verdict !== "string") return verdict;
    if (verdict !== "unknown_key") throw capabilityRefused(verdict);
    if (!mayAsk) throw new RegistryError("not_found", "This node does not have the root key");
    await this.#askHolders(text);
    return this.#accepted(text);
  }

  /** Returns the rights of a capability whose signature another node has verified. */
  #accepted(text: string): Guarded<CapabilityRights> {
    const form = readCapability(text);
    if (typeof form === "string") throw capabilityRefused(form);
    // It may have ended while other nodes were asked.
    const nowMs = this.#parts.wall.unixMs();
    const verdict = guardedRights(form, (id) => this.#isBanned(id), nowMs);
    if (typeof verdict === "string") throw capabilityRefused(verdict);
    return verdict;
  }

  /** Has a capability verified by the first node that knows its root key. */
  async #askHolders(text: string): Promise<void> {
    const holders = this.#group.connectedKeyHolders.slice(0, CAPABILITY_HOLDERS_ASKED_MAX);
    let refusal: RegistryError = capabilityRefused("unknown_key");
    for (const holder of holders) {
      try {
        await this.#group.askNode(holder, "verifyCapability", { capability: text });
        return;
      } catch (error) {
        const answer = toRegistryError(error);
        if (answer.code === "unauthenticated") throw answer;
        // A node that could not be asked may have the key.
        if (answer.code !== "not_found") refusal = answer;
      }
    }
    throw refusal;
  }

  #isBanned(capabilityId: string): boolean {
    return this.#parts.bans.isCapabilityBanned(capabilityId);
  }

  #signingKey(): RootKey {
    const newest = this.#group.rootKeys.at(-1);
    if (newest !== undefined) return newest;
    // Throws with the hint to another node if this one is without an authority folder.
    void this.#group.authority;
    throw new RegistryError(
      "invalid_configuration",
      "The authority folder of this node has no root key of capabilities: create one with crs " +
        "identity rotate capability-key, and copy it to all nodes of the region",
      { field: "authority" },
    );
  }
}

/** Checks that all nodes know capabilities. @throws RegistryError `overloaded`. */
export function checkCapabilitiesVersion(group: Pick<IdentityGroup, "store">): void {
  checkVersion(group, CAPABILITIES_APPLY_VERSION, "capabilities");
}
