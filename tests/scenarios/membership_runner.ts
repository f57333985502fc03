/**
 * The commands of confchange scenarios: changes of a configuration, and the progress of each
 * replica.
 */
import { enterJoint, leaveJoint, type Members, simpleChange } from "../../src/raft/membership.ts";
import { EMPTY_CONFIGURATION } from "../../src/raft/message.ts";
import { memberStatus } from "../../src/raft/status.ts";
import { parseChanges, renderConfiguration, renderMembers, renderRefusal } from "./render.ts";
import { type Stanza, valuesFor } from "./stanza.ts";

const LIMITS = { inflightMessagesMax: 10, inflightBytesMax: Number.POSITIVE_INFINITY };

/** Replays confchange scenarios; one instance a file. */
export class MembershipRunner {
  #members: Members = { configuration: EMPTY_CONFIGURATION, progress: [] };
  #lastIndex = 0;

  /** Runs a stanza and returns its output; the last index grows by one in any case. */
  run(stanza: Stanza): string {
    const from = { lastIndex: this.#lastIndex++, limits: LIMITS };
    const changes = parseChanges(stanza.input);
    if (typeof changes === "string") return changes;
    let next: ReturnType<typeof simpleChange>;
    switch (stanza.command) {
      case "simple":
        next = simpleChange(this.#members, changes, from);
        break;
      case "enter-joint": {
        const autoLeave = valuesFor(stanza, "autoleave")?.[0] === "true";
        next = enterJoint(this.#members, changes, { ...from, autoLeave });
        break;
      }
      case "leave-joint":
        if (changes.length > 0) return "this command takes no input";
        next = leaveJoint(this.#members, from);
        break;
      default:
        return "unknown command";
    }
    if (typeof next === "string") return renderRefusal(next);
    this.#members = next;
    const { configuration, progress } = next;
    return `${renderConfiguration(configuration)}\n${renderMembers(progress.map(memberStatus))}`;
  }
}
