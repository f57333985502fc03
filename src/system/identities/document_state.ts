/** The documents that group 0 stores for all nodes, such as the trust bundle. */
import type { CommandView } from "../../../schemas/gen/command.ts";
import { DocumentCommandView, DOCUMENTS } from "../../../schemas/gen/identity.ts";
import { DOCUMENT_BYTES_MAX } from "../../base/limits.ts";
import { COMMAND_KINDS, type CommandHeader } from "../../record/command.ts";
import { encodeDocument } from "../identity_codec.ts";
import { full, type SubMachine } from "../sub_machine.ts";
import type { AuditState } from "./audit_state.ts";
import { checkReplaced, malformed } from "./refusals.ts";

/** The current version of a document. */
export interface Document {
  readonly version: number;
  readonly bytes: Uint8Array;
}

const DOCUMENT_NUMBER_MAX = Math.max(...Object.values(DOCUMENTS));

/** The documents of group 0. */
export class DocumentState implements SubMachine {
  readonly section = 6;
  readonly kinds = [COMMAND_KINDS.document];
  readonly #audit: AuditState;
  readonly #documents = new Map<number, Document>();

  constructor(audit: AuditState) {
    this.#audit = audit;
  }

  /** Returns a document by its number. */
  of(name: number): Document | undefined {
    return this.#documents.get(name);
  }

  apply(command: CommandView): void {
    const document = command.bodyInto(new DocumentCommandView()).toPlain();
    const { name, replacedVersion, version, bytes, detail } = document;
    if (name === 0 || name > DOCUMENT_NUMBER_MAX) throw malformed(`document ${name}`);
    if (bytes.length > DOCUMENT_BYTES_MAX) throw full("bytes of a document", DOCUMENT_BYTES_MAX);
    checkReplaced(`Document ${name}`, this.#documents.get(name), replacedVersion, document);
    this.#documents.set(name, { version, bytes });
    this.#audit.record(command, name === 1 ? "trustBundle" : "tokenKey", "", detail);
  }

  *segments(from: CommandHeader): Generator<Uint8Array, void, undefined> {
    for (const [name, { version, bytes }] of this.#documents) {
      yield encodeDocument(from, { name, version, bytes, replacedVersion: 0, detail: "" });
    }
  }

  load(command: CommandView): void {
    this.apply(command);
  }

  loaded(): void {}
}
