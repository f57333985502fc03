/**
 * The commands of interaction scenarios: each directive, and each line of its input, performs one
 * action on the {@link Environment} and prints the result; `ok` if there is none.
 */
import type { RaftOptions, Transition } from "../../src/raft/mod.ts";
import { Environment, type Recipient } from "./environment.ts";
import { BARE_TEMPLATE, type NodeTemplate, ScenarioError } from "./replica.ts";
import { LOCAL_MESSAGE_NAMES, MESSAGE_NAMES, parseChanges } from "./render.ts";
import { type Argument, type Directive, parseDirective, type Stanza } from "./stanza.ts";
import { valuesFor, wholeNumber } from "./stanza.ts";

const TRANSITIONS: Readonly<Record<string, Transition>> = {
  auto: "auto",
  implicit: "joint_implicit",
  explicit: "joint_explicit",
};

/** Replays interaction scenarios; one instance a file. */
export class InteractionRunner {
  readonly #environment = new Environment();

  /** Runs a stanza and returns its output. */
  run(stanza: Stanza): string {
    const { out } = this.#environment;
    if (stanza.command === "propose-conf-change") {
      this.#guarded(() => proposeConfChange(this.#environment, stanza));
    } else {
      this.#guarded(() => runCommand(this.#environment, stanza));
      for (const line of stanza.input.split("\n").filter((text) => text.trim() !== "")) {
        this.#guarded(() => runCommand(this.#environment, parseDirective(line.trim())));
      }
    }
    const text = out.take() + this.#error;
    this.#error = "";
    return text === "" ? "ok" : text;
  }

  /** Errors are printed at every level. */
  #error = "";

  #guarded(run: () => void): void {
    try {
      run();
    } catch (error) {
      if (!(error instanceof ScenarioError)) throw error;
      const { out } = this.#environment;
      if (out.isQuiet) this.#error += error.message;
      else out.write(error.message);
    }
  }
}

/** Returns the arguments without a value, which are ids. */
function idsOf({ args }: Directive): number[] {
  return args.filter(({ values }) => values.length === 0).map(({ key }) => wholeNumber(key));
}

function firstId(directive: Directive): number {
  const id = directive.args[0];
  if (id === undefined) throw new RangeError(`${directive.command} needs a node`);
  return wholeNumber(id.key);
}

function numberFor(directive: Directive, key: string): number {
  const value = valuesFor(directive, key)?.[0];
  if (value === undefined) throw new RangeError(`${directive.command} needs ${key}=`);
  return wholeNumber(value);
}

type Command = (environment: Environment, directive: Directive) => void;

const COMMANDS: Readonly<Record<string, Command>> = {
  "_breakpoint": () => {},
  "add-nodes": (env, directive) => env.addNodes(firstId(directive), templateOf(directive)),
  "campaign": (env, directive) => env.campaign(firstId(directive)),
  "propose": (env, directive) => {
    const data = new TextEncoder().encode(directive.args[1]?.key ?? "");
    env.propose(firstId(directive), data);
  },
  "process-ready": (env, directive) => {
    env.forEach(idsOf(directive), "handling Ready", (id) => env.processReady(id));
  },
  "process-append-thread": (env, directive) => {
    env.forEach(idsOf(directive), "processing append thread", (id) => env.processAppendThread(id));
  },
  "process-apply-thread": (env, directive) => {
    env.forEach(idsOf(directive), "processing apply thread", (id) => env.processApplyThread(id));
  },
  "deliver-msgs": deliver,
  "stabilize": (env, directive) => {
    const level = valuesFor(directive, "log-level")?.[0];
    if (level === undefined) {
      env.stabilize(idsOf(directive));
      return;
    }
    const before = env.out.level;
    setLogLevel(env, level);
    try {
      env.stabilize(idsOf(directive));
    } finally {
      env.out.level = before;
    }
  },
  "tick-election": (env, directive) => env.tick(firstId(directive), "election"),
  "tick-heartbeat": (env, directive) => env.tick(firstId(directive), "heartbeat"),
  "set-randomized-election-timeout": (env, directive) => {
    env.setElectionTimeout(firstId(directive), numberFor(directive, "timeout"));
  },
  "transfer-leadership": (env, directive) => {
    env.transferLeadership(numberFor(directive, "from"), numberFor(directive, "to"));
  },
  "forget-leader": (env, directive) => env.forgetLeader(firstId(directive)),
  "report-unreachable": (env, directive) => {
    const [id, member] = idsOf(directive);
    env.reportUnreachable(id!, member!);
  },
  "send-snapshot": (env, directive) => {
    const [from, to] = idsOf(directive);
    env.sendSnapshot(from!, to!);
  },
  "compact": (env, directive) => {
    const [id, index] = idsOf(directive);
    env.compact(id!, index!);
  },
  "raft-log": (env, directive) => env.printLog(firstId(directive)),
  "raft-state": (env) => env.printStates(),
  "status": (env, directive) => env.printStatus(firstId(directive)),
  "log-level": (env, directive) => setLogLevel(env, directive.args[0]?.key ?? ""),
};

function runCommand(environment: Environment, directive: Directive): void {
  const command = COMMANDS[directive.command];
  if (command === undefined) throw new ScenarioError("unknown command");
  command(environment, directive);
}

function setLogLevel(environment: Environment, level: string): void {
  if (environment.out.setLevel(level)) return;
  throw new ScenarioError("log levels must be either of [DEBUG INFO WARN ERROR FATAL NONE]");
}

function deliver(environment: Environment, directive: Directive): void {
  const recipients: Recipient[] = [];
  for (const { key, values } of directive.args) {
    if (values.length === 0) recipients.push({ id: wholeNumber(key), drop: false });
    else if (key === "drop") {
      for (const value of values) recipients.push({ id: wholeNumber(value), drop: true });
    }
  }
  const type = valuesFor(directive, "type")?.[0];
  const known = [...Object.values(MESSAGE_NAMES), ...LOCAL_MESSAGE_NAMES];
  if (type !== undefined && !known.includes(type)) {
    throw new RangeError(`unknown message type ${type}`);
  }
  if (environment.deliver(recipients, type) === 0) environment.out.write("no messages\n");
}

function proposeConfChange(environment: Environment, stanza: Stanza): void {
  const v1 = isTrue(valuesFor(stanza, "v1")?.[0] ?? "false");
  const name = valuesFor(stanza, "transition")?.[0] ?? "auto";
  const transition = TRANSITIONS[name];
  if (transition === undefined) throw new ScenarioError(`unknown transition ${name}`);
  const changes = parseChanges(stanza.input);
  if (typeof changes === "string") throw new ScenarioError(changes);
  if (v1 && (changes.length !== 1 || transition !== "auto")) {
    throw new ScenarioError("v1 conf change can only have one operation and no transition");
  }
  const change = { transition, changes, context: new Uint8Array(0) };
  environment.proposeConfChange(firstId(stanza), change, v1);
}

function isTrue(text: string): boolean {
  if (["1", "t", "T", "TRUE", "true", "True"].includes(text)) return true;
  if (["0", "f", "F", "FALSE", "false", "False"].includes(text)) return false;
  throw new RangeError(`true or false was needed: found ${text}`);
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

function templateOf(directive: Directive): NodeTemplate {
  const template: Mutable<NodeTemplate> = { ...BARE_TEMPLATE };
  const options: Mutable<Partial<RaftOptions>> = {};
  for (const arg of directive.args.slice(1)) setField(template, options, arg);
  template.options = options;
  return template;
}

function setField(
  template: Mutable<NodeTemplate>,
  options: Mutable<Partial<RaftOptions>>,
  { key, values }: Argument,
): void {
  const [value] = values;
  if (value === undefined) return;
  switch (key) {
    case "voters":
      template.voters = ascending(values.map(wholeNumber));
      break;
    case "learners":
      template.learners = ascending(values.map(wholeNumber));
      break;
    case "index":
      template.index = wholeNumber(value);
      break;
    case "content":
      template.content = new TextEncoder().encode(value);
      break;
    case "inflight":
      options.inflightMessagesMax = wholeNumber(value);
      break;
    case "async-storage-writes":
      options.asyncStorageWrites = isTrue(value);
      break;
    case "prevote":
      options.preVote = isTrue(value);
      break;
    case "checkquorum":
      options.checkQuorum = isTrue(value);
      break;
    case "max-committed-size-per-ready":
      options.applyingBytesMax = wholeNumber(value);
      break;
    case "disable-conf-change-validation":
      options.skipConfChangeChecks = isTrue(value);
      break;
    case "step-down-on-removal":
      options.stepDownOnRemoval = isTrue(value);
      break;
    case "read-only":
      if (value !== "safe" && value !== "lease-based") {
        throw new ScenarioError(`invalid read-only option "${value}"`);
      }
      options.readMode = value === "safe" ? "quorum" : "clock";
      break;
    default:
      break;
  }
}

function ascending(ids: readonly number[]): number[] {
  return [...ids].sort((left, right) => left - right);
}
