/** The grants of tokens as a part of group 0's state (token_grants.ts). */
import type { CommandView } from "../../../schemas/gen/command.ts";
import { GrantCommandView } from "../../../schemas/gen/identity.ts";
import { COMMAND_KINDS, type CommandHeader } from "../../record/command.ts";
import { encodeGrant, grantFromWire } from "../identity_codec.ts";
import type { SubMachine } from "../sub_machine.ts";
import { TokenGrants } from "../token_grants.ts";
import type { AuditState } from "./audit_state.ts";
import type { Revocations } from "./revocations.ts";

/** The grants of tokens beyond those of certificates. */
export class GrantState implements SubMachine {
  readonly section = 5;
  readonly kinds = [COMMAND_KINDS.grant];
  readonly grants = new TokenGrants();
  readonly #audit: AuditState;
  readonly #revocations: Revocations;

  constructor(audit: AuditState, revocations: Revocations) {
    this.#audit = audit;
    this.#revocations = revocations;
  }

  apply(command: CommandView): void {
    const granted = command.bodyInto(new GrantCommandView()).toPlain();
    const grant = grantFromWire(granted);
    this.grants.add(grant, command.unixS * 1_000);
    this.#revocations.sink?.granted(grant);
    this.#audit.record(command, "token", grant.subject, granted.detail);
  }

  *segments(from: CommandHeader): Generator<Uint8Array, void, undefined> {
    for (const grant of this.grants.values()) yield encodeGrant(from, grant);
  }

  load(command: CommandView): void {
    this.apply(command);
  }

  loaded(): void {}
}
