/**
 * Output of a demonstration: a table while it runs, lines where there is no terminal, the result.
 */
import type { NodeStatus } from "../../client/mod.ts";
import { jsonDocument } from "../shell.ts";
import { table } from "../table.ts";
import type { DemoSettings } from "./settings.ts";
import type { DemoOperation, OperationFigures, Tally } from "./tally.ts";

/** The state of a demonstration during its run or at its end. */
export interface DemoMoment {
  readonly settings: DemoSettings;
  readonly tally: Tally;
  /** Time since the fleet started working, s. */
  readonly elapsedS: number;
  /** The last status the node reported. */
  readonly node: NodeStatus | undefined;
}

/** Returns the live table. */
export function liveText(moment: DemoMoment): string {
  const { elapsedS, settings } = moment;
  return `\n${elapsedS.toFixed(0)} s of ${settings.seconds} s, ^C to end\n${nodeLine(moment)}\n` +
    figuresTable(moment);
}

/** Returns a line for a log. */
export function lineText({ elapsedS, tally }: DemoMoment): string {
  const resolve = tally.figures("resolve");
  const { count } = tally.figures("renew");
  const { p50, p99 } = resolve.latencyMs ?? { p50: 0, p99: 0 };
  return `${elapsedS.toFixed(0)} s: ${
    grouped(resolve.count)
  } resolved (p50 ${p50} ms, p99 ${p99} ms), ` +
    `${grouped(count)} renewed, ${grouped(tally.failed)} failed\n`;
}

/** Returns the result for people. */
export function resultText(moment: DemoMoment): string {
  const { settings, elapsedS, tally } = moment;
  const { gateways, agents, proxies } = settings;
  let text = `${grouped(gateways)} gateways with ${grouped(agents)} agents, and ` +
    `${grouped(proxies)} proxies, for ${elapsedS.toFixed(1)} s\n${nodeLine(moment)}\n` +
    figuresTable(moment);
  for (const [code, count] of tally.failures) text += `${grouped(count)} failed: ${code}\n`;
  return `${text}Times were measured by the fleet; node and fleet shared this machine.\n`;
}

/** Returns the result for scripts. */
export function resultJson({ settings, elapsedS, tally, node }: DemoMoment): string {
  return jsonDocument({
    settings,
    elapsedS: Math.round(elapsedS * 1_000) / 1_000,
    operations: tally.all(),
    failures: Object.fromEntries(tally.failures),
    node: node ?? null,
  });
}

function nodeLine({ node }: DemoMoment): string {
  if (node === undefined) return "";
  const mib = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MiB`;
  return `node: ${grouped(node.gateways)} gateways, ${grouped(node.agents)} agents, ` +
    `${grouped(node.sessions)} sessions, ${mib(node.memoryBytes)} of memory, ` +
    `${mib(node.logBytes)} of log\n`;
}

function figuresTable({ tally, elapsedS }: DemoMoment): string {
  const head = [
    "OPERATION",
    "COUNT",
    "PER S",
    "NOT FOUND",
    "FAILED",
    "P50 ms",
    "P90 ms",
    "P99 ms",
    "MAX ms",
  ];
  return table(head, tally.all().map((figures) => row(figures, elapsedS)), {
    numbersFrom: 1,
  });
}

const SETUP = new Set<DemoOperation>(["connect", "register gateway", "register a batch"]);

function row(figures: OperationFigures, elapsedS: number): string[] {
  const { operation, count, notFound, failed, latencyMs } = figures;
  const times = latencyMs === null
    ? ["", "", "", ""]
    : [latencyMs.p50, latencyMs.p90, latencyMs.p99, latencyMs.max].map(shownMs);
  // Operations done before the fleet starts working have no rate.
  const hasRate = elapsedS > 0 && !SETUP.has(operation);
  const perSecond = hasRate ? grouped(Math.round(count / elapsedS)) : "";
  return [operation, grouped(count), perSecond, grouped(notFound), grouped(failed), ...times];
}

function shownMs(ms: number): string {
  return ms < 10 ? ms.toFixed(2) : ms < 100 ? ms.toFixed(1) : ms.toFixed(0);
}

function grouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}
