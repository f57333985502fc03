/** The governed plane as calls of the SDK; documents are their canonical JSON bytes. */
import type {
  GovernanceAuditReply,
  GovernanceStatusReply,
  ProposalReply,
  ProposalState,
} from "../../../schemas/gen/wire.ts";
import { RegistryError } from "../../base/errors.ts";
import { GOVERNED_FOLLOW_WAIT_MS } from "../../base/limits.ts";
import type { World } from "../../base/world.ts";
import { GovernedLog } from "../../governance/governed_log.ts";
import type { PayloadSignature } from "../../governance/documents/signature.ts";
import type { CallOptions } from "../call_options.ts";
import { ask, type Invoker } from "../invoker.ts";
import type {
  DescriptorHistory,
  FirstSigner,
  GovernedClient,
  GovernedLogPage,
} from "./governed_types.ts";
import { LogView } from "./governed_view.ts";

/** Implements {@link GovernedClient} by an invoker. */
export class GovernedCalls implements GovernedClient {
  readonly #invoker: Invoker;
  readonly #world: Pick<World, "monotonic" | "scheduler" | "entropy">;
  readonly #views = new Set<LogView>();

  constructor(invoker: Invoker, world: Pick<World, "monotonic" | "scheduler" | "entropy">) {
    this.#invoker = invoker;
    this.#world = world;
  }

  status(options?: CallOptions): Promise<GovernanceStatusReply> {
    return ask(this.#invoker, "governanceStatus", {}, options);
  }

  async init(
    signers: readonly FirstSigner[],
    threshold: number,
    options?: CallOptions,
  ): Promise<Uint8Array> {
    const body = { signers, threshold };
    return (await ask(this.#invoker, "initGovernance", body, options)).genesis.slice();
  }

  propose(
    payload: Uint8Array,
    signatures: readonly PayloadSignature[],
    options?: CallOptions,
  ): Promise<ProposalState> {
    return ask(this.#invoker, "propose", { payload, signatures }, options);
  }

  sign(
    proposal: number,
    signatures: readonly PayloadSignature[],
    options?: CallOptions,
  ): Promise<ProposalState> {
    return ask(this.#invoker, "signProposal", { proposal, signatures }, options);
  }

  apply(proposal: number, options?: CallOptions): Promise<ProposalState> {
    return ask(this.#invoker, "applyProposal", { proposal }, options);
  }

  proposal(proposal: number, options?: CallOptions): Promise<ProposalReply> {
    return ask(this.#invoker, "getProposal", { proposal }, options);
  }

  log(
    { after, waitMs = 0, knowsGenesis = false, id = "" }: Parameters<GovernedClient["log"]>[0],
    options?: CallOptions,
  ): Promise<GovernedLogPage> {
    return ask(this.#invoker, "readGovernedLog", { after, waitMs, knowsGenesis, id }, options);
  }

  async history(
    id: string,
    wait?: { readonly after: number; readonly ms: number },
    options?: CallOptions,
  ): Promise<DescriptorHistory> {
    const { monotonic } = this.#world;
    const knowsGenesis = true;
    if (wait !== undefined) {
      await this.log({ after: wait.after, waitMs: wait.ms, knowsGenesis, id }, options);
    }
    const startMs = monotonic.nowMs();
    const log = new GovernedLog("");
    for (let after = 0;;) {
      const { entries, version, ageBoundMs } = await this.log({ after, knowsGenesis, id }, options);
      for (const record of entries) after = log.load(record).entry.version;
      if (after >= version) {
        return { log, ageMs: () => monotonic.nowMs() - startMs + ageBoundMs };
      }
      if (entries.length === 0) throw new RegistryError("malformed", "A log has its entries");
    }
  }

  async bundle(id: string, since = 0, options?: CallOptions): Promise<string> {
    return (await ask(this.#invoker, "governedBundle", { id, since }, options)).text;
  }

  async checkpoint(options?: CallOptions): Promise<string> {
    return (await ask(this.#invoker, "governedCheckpoint", {}, options)).text;
  }

  audit(after: number, limit: number, options?: CallOptions): Promise<GovernanceAuditReply> {
    return ask(this.#invoker, "readGovernanceAudit", { after, limit }, options);
  }

  async view(options?: CallOptions): Promise<LogView> {
    const view = new LogView({
      calls: this,
      world: this.#world,
      waitMs: GOVERNED_FOLLOW_WAIT_MS,
      onClose: () => this.#views.delete(view),
    });
    this.#views.add(view);
    try {
      await view.begin(options);
    } catch (error) {
      view.close();
      throw error;
    }
    return view;
  }

  /** Closes all views. */
  close(): void {
    for (const view of this.#views) view.close();
  }
}
