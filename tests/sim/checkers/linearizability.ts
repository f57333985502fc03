/**
 * The replies to clients are those that a single register per key could have given. Checked over
 * the whole run, for keys whose lease is longer than it.
 */
import { type Checker, Finding, type Operation } from "../history.ts";
import { findNotLinearizable, type RegisterOperation } from "./register_search.ts";

/**
 * Returns the effect of an operation on its key, or the value it saw; undefined if it reveals
 * nothing.
 */
function registerOperation(operation: Operation): RegisterOperation | undefined {
  const { answeredAt, calledAt, end, key, kind, value } = operation;
  const times = { key, calledAt, answeredAt };
  if (end === "refused") return undefined;
  switch (kind) {
    case "get":
    case "renew":
      if (end === "not_found") return { ...times, kind: "read", value: undefined };
      // A renewal shows the record's incarnation, not its content.
      return end === "ok" && kind === "get" ? { ...times, kind: "read", value } : undefined;
    case "register":
    case "take_over":
      return end === "not_found" ? undefined : { ...times, kind: "write", value };
    case "deregister":
      return end === "not_found" ? undefined : { ...times, kind: "remove", value: undefined };
  }
}

/** Collects the history, and checks it at the end. */
export class Linearizability implements Checker {
  readonly name = "linearizability";
  readonly #history: { told: RegisterOperation; by: Operation }[] = [];

  onOperation(operation: Operation): void {
    if (!operation.isLongLived) return;
    const told = registerOperation(operation);
    if (told !== undefined) this.#history.push({ told, by: operation });
  }

  onEnd(): void {
    const found = findNotLinearizable(this.#history.map(({ told }) => told));
    if (found === undefined) return;
    const { answer, key, values } = found;
    const describe = (told: RegisterOperation) => {
      const by = this.#history.find(({ told: { calledAt } }) => calledAt === told.calledAt)?.by;
      return by === undefined ? told.kind : operationName(by);
    };
    const pending = found.pending.filter((told) => told !== answer).map(describe);
    throw new Finding(
      this.name,
      `No order of the operations on ${key} explains: ${describe(answer)}. Before, it may have ` +
        `held ${values.map((value) => value ?? "nothing").join(" or ")}` +
        (pending.length === 0 ? "" : `; under way were ${pending.join(", ")}`),
    );
  }
}

/** Returns the description of an operation for messages. */
export function operationName(operation: Operation): string {
  const { answeredMs, calledMs, client, end, index, key, kind, term, value, way } = operation;
  const place = index === 0 ? "" : ` at index ${index} of term ${term}`;
  const answered = end === "unknown" ? "without an answer" : `answered at ${answeredMs} ms`;
  return `${kind} of ${key} by client ${client} (${way}, called at ${calledMs} ms, ${answered}: ` +
    `${end} ${value}${place})`;
}
