/**
 * Implements `crs watch …`: one line per event on standard output, or with `--json` one object per
 * line, until a signal. The token with which to continue is told at the end.
 */
import { WATCH_PROGRESS_MS_MAX, WATCH_PROGRESS_MS_MIN } from "../../base/limits.ts";
import { ringJson, watchEventJson } from "../../answers/watch_json.ts";
import type { Client, Watch, WatchEvent, WatchFilter, WatchOptions } from "../../client/mod.ts";
import { kindNamed, type RecordKindName } from "../../record/kinds.ts";
import { parseDuration } from "../duration.ts";
import { EXIT_CODES } from "../exit_codes.ts";
import { labelsOf } from "../record_fields.ts";
import { type ServerOptions, type Shell, withClient } from "../shell.ts";
import { StopRequest } from "../stop_request.ts";
import type { Terminal } from "../terminal.ts";
import { ringText, watchEventText } from "../watch_view.ts";

/** Options of every watch of records. */
export interface WatchFlags extends ServerOptions {
  readonly from?: string;
  readonly withState?: boolean;
  readonly before?: boolean;
  /** Shows progress; with a value, at that interval. */
  readonly progress?: boolean | string;
}

/** Options that say which records are watched. */
export interface RecordWatchFlags extends WatchFlags {
  readonly region?: string;
  readonly label?: readonly string[];
  readonly id?: readonly string[];
}

/** Implements `watch agents` and `watch gateways`. */
export async function watchRecords(
  kind: RecordKindName,
  flags: RecordWatchFlags,
  shell: Shell,
): Promise<number> {
  const { region, label, id } = flags;
  const conditions = [
    ...(region === undefined ? [] : [`in region ${region}`]),
    ...(label === undefined ? [] : [`with ${label.join(" ")}`]),
    ...(id === undefined ? [] : [`with the id ${id.join(" or ")}`]),
  ];
  const what = [kindNamed(kind).plural, ...conditions].join(" ");
  const filter = {
    kind,
    ...(region === undefined ? {} : { region }),
    ...(label === undefined ? {} : { labels: labelsOf(label) }),
    ...(id === undefined ? {} : { ids: id }),
  };
  return await watchFilter(what, filter, flags, shell);
}

/** Implements `watch domain`. */
export async function watchDomain(
  domain: string,
  flags: WatchFlags,
  shell: Shell,
): Promise<number> {
  return await watchFilter(`the domain ${domain}`, { domain }, flags, shell);
}

/** Implements `watch ring`. */
export async function watchRing(flags: ServerOptions, shell: Shell): Promise<number> {
  const tell = lineTeller(flags, shell.terminal);
  return await untilStopped(flags, shell, async (client, stop) => {
    const watch = client.watchRing();
    void stop.requested.then(() => watch.close());
    for await (const map of watch) tell(() => ringJson(map), () => ringText(map));
  });
}

async function watchFilter(
  what: string,
  filter: WatchFilter,
  flags: WatchFlags,
  shell: Shell,
): Promise<number> {
  const { terminal } = shell;
  const options = optionsOf(flags);
  const tell = lineTeller(flags, terminal);
  return await untilStopped(flags, shell, async (client, stop, timeoutMs) => {
    const watch = client.watch(filter, { ...options, timeoutMs });
    void stop.requested.then(() => watch.close());
    try {
      // It is read meanwhile; if it does not begin, reading says so.
      watch.begun.then(
        () => tell(() => ({ event: "watching" }), () => `Watching ${what}. ^C ends it.`),
        () => {},
      );
      const hidden = new Set<WatchEvent["type"]>();
      if (flags.progress === undefined) hidden.add("progress");
      // One for each partition: of no interest to people.
      if (flags.json !== true) hidden.add("complete");
      await show(watch, tell, hidden);
    } catch (error) {
      if (!stop.isRequested) throw error;
    } finally {
      const { token } = watch;
      if (token !== undefined) terminal.err(`To continue, add --from ${token}\n`);
    }
  });
}

/** Shows events until the watch ends. */
async function show(
  watch: Watch,
  tell: Tell,
  hidden: ReadonlySet<WatchEvent["type"]>,
): Promise<void> {
  for await (const event of watch) {
    if (!hidden.has(event.type)) tell(() => watchEventJson(event), () => watchEventText(event));
  }
}

function optionsOf({ from, withState, before, progress }: WatchFlags): WatchOptions {
  const bounds = { min: WATCH_PROGRESS_MS_MIN, max: WATCH_PROGRESS_MS_MAX };
  return {
    ...(from === undefined ? {} : { from }),
    ...(withState === true ? { state: true } : {}),
    ...(before === true ? { before: true } : {}),
    ...(typeof progress === "string"
      ? { progressMs: parseDuration(progress, "--progress", bounds) }
      : {}),
  };
}

/** Prints one line: an object for scripts, or text for people. */
type Tell = (json: () => unknown, text: () => string) => void;

function lineTeller({ json }: ServerOptions, terminal: Terminal): Tell {
  return json === true
    ? (facts) => terminal.out(JSON.stringify(facts()) + "\n")
    : (_, text) => terminal.out(text() + "\n");
}

/** Runs a watch until it ends by itself, or a signal ends it (exit code 0). */
async function untilStopped(
  flags: ServerOptions,
  shell: Shell,
  run: (client: Client, stop: StopRequest, timeoutMs: number) => Promise<void>,
): Promise<number> {
  const stop = new StopRequest(shell.terminal, () => {});
  try {
    await withClient(shell, flags, ({ client, timeoutMs }) => run(client, stop, timeoutMs));
    return EXIT_CODES.success;
  } finally {
    stop.end();
  }
}
