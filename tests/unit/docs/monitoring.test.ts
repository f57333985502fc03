/**
 * docs/monitoring: every metric and label that the alert rules and the dashboard name is one that the
 * program has, promtool accepts all expressions, and the alerts fire as they should.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { HttpMetrics } from "../../../src/http/metrics.ts";
import { NodeMetrics } from "../../../src/node/metrics.ts";
import { OPERATION_LIST } from "../../../src/wire/operations/mod.ts";
import { ManualTime } from "../../support/manual_time.ts";
import { NODE_SNAPSHOT } from "../../support/node_snapshot.ts";
import { PROMTOOL, testWith } from "../../support/requirement.ts";
import { inTemporaryFolder } from "../../support/temporary_folder.ts";

const FOLDER = new URL("../../../docs/monitoring/", import.meta.url);
const ALERTS = new URL("alerts.yml", FOLDER).pathname;
const FIRING = new URL("alerts.test.yml", import.meta.url);

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly gridPos: {
    readonly h: number;
    readonly w: number;
    readonly x: number;
    readonly y: number;
  };
  readonly targets: readonly { readonly expr: string; readonly legendFormat: string }[];
}
const DASHBOARD: { readonly panels: readonly Panel[] } = JSON.parse(
  Deno.readTextFileSync(new URL("dashboard.json", FOLDER)),
);
const QUERIES = DASHBOARD.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));

/** Returns the expressions of the rules: the text behind `expr:`, also over several lines. */
function ruleExpressions(yaml: string): string[] {
  const lines = yaml.split("\n");
  return lines.flatMap((line, index) => {
    const [, indent, text] = /^( *)(?:- )?expr: (.*)$/.exec(line) ?? [];
    if (indent === undefined || text === undefined) return [];
    if (text !== ">-") return [text];
    const more = lines.slice(index + 1);
    const end = more.findIndex((next) => !next.startsWith(`${indent}  `));
    return [more.slice(0, end).map((next) => next.trim()).join(" ")];
  });
}

const RULES = ruleExpressions(Deno.readTextFileSync(ALERTS));

/** Renders the metrics of a face and of a node in which everything has happened once. */
async function rendered(): Promise<string> {
  const http = new HttpMetrics([]);
  http.finished({
    route: "/v1/registry/descriptors/{id}",
    method: "GET",
    status: 503,
    seconds: 1,
    isWait: false,
  });
  const error = { code: "BadSignature" } as Parameters<HttpMetrics["rejected"]>[0];
  http.rejected(error);
  http.updated("applied");
  http.lagged("/v1/watch");
  http.addDescriptors(() => new Map([["published", 1]]));
  const node = new NodeMetrics({
    operations: OPERATION_LIST,
    monotonic: new ManualTime(0),
    version: "1",
    nodeId: () => 1,
    region: "eu",
    snapshot: () => NODE_SNAPSHOT,
  });
  return (await http.render()).text + "\n" + (await node.render()).text;
}

/** Returns the labels of each series name. */
async function knownSeries(): Promise<Map<string, Set<string>>> {
  const known = new Map<string, Set<string>>();
  for (const line of (await rendered()).split("\n")) {
    const [, name, labels = ""] = /^([a-z_]+)(?:\{(.*)\})? /.exec(line) ?? [];
    if (name === undefined) continue;
    const own = known.get(name) ?? new Set(["job", "instance"]);
    for (const [, label] of labels.matchAll(/([a-z_]+)="/g)) own.add(label!);
    known.set(name, own);
  }
  return known;
}

const RECORDED = new Set(
  [...Deno.readTextFileSync(ALERTS).matchAll(/record: (\S+)/g)].map(([, name]) => name!),
);
/** Series that an expression names, with the labels by which it selects or groups them. */
function namedIn(
  expression: string,
): { readonly name: string; readonly labels: readonly string[] }[] {
  const plain = expression.replace(/"[^"]*"/g, '""').replace(/\[[^\]]*\]/g, "");
  const grouped = [...plain.matchAll(/by \(([^)]*)\)/g)].flatMap(([, list]) => list!.split(","));
  const found = [];
  const names = plain.replace(/by \([^)]*\)/g, "").matchAll(/([a-z][\w:]*)(\(|\{[^}]*\})?/g);
  for (const [, name, after = ""] of names) {
    if (after === "(" || name === "and" || name === "sum" || name === "max") continue;
    const selected = [...after.matchAll(/(\w+)(?:=|!)/g)].map(([, label]) => label!);
    found.push({ name: name!, labels: [...selected, ...grouped.map((label) => label.trim())] });
  }
  return found;
}

test("every metric and label in the rules and the dashboard exists", async () => {
  const known = await knownSeries();
  assert.ok(RULES.length >= 13 && QUERIES.length >= 10);
  for (const expression of [...RULES, ...QUERIES]) {
    const named = namedIn(expression);
    assert.ok(named.length > 0, expression);
    for (const { name, labels } of named) {
      if (RECORDED.has(name)) continue;
      assert.ok(known.has(name), `${name} of ${expression}`);
      for (const label of labels) assert.ok(known.get(name)!.has(label), `${label} of ${name}`);
    }
  }
});

test("legends of the dashboard name labels that their series have", async () => {
  const known = await knownSeries();
  for (const { targets } of DASHBOARD.panels) {
    for (const { expr, legendFormat } of targets) {
      const [name] = [...known.keys()].filter((series) => expr.includes(series));
      for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
        assert.ok(known.get(name!)!.has(label!), `${label} of ${expr}`);
      }
    }
  }
});

test("panels have numbers of their own, and do not overlap", () => {
  const { panels } = DASHBOARD;
  assert.is(new Set(panels.map(({ id }) => id)).size, panels.length);
  const cells = panels.flatMap(({ gridPos: { h, w, x, y } }) =>
    Array.from({ length: h * w }, (_, cell) => `${x + cell % w},${y + Math.floor(cell / w)}`)
  );
  assert.is(new Set(cells).size, cells.length);
});

const promtoolTest = testWith(PROMTOOL);

async function run(promtool: string, ...args: string[]): Promise<void> {
  const { success, stdout, stderr } = await new Deno.Command(promtool, { args }).output();
  const text = new TextDecoder();
  assert.ok(success, text.decode(stdout) + text.decode(stderr));
}

promtoolTest(
  "promtool accepts the rules, and each alert fires as it should",
  (promtool) =>
    inTemporaryFolder(async (folder) => {
      await run(promtool, "check", "rules", ALERTS);
      const tests = `${folder}/alerts.test.yml`;
      const text = await Deno.readTextFile(FIRING);
      await Deno.writeTextFile(tests, text.replace("ALERTS", ALERTS));
      await run(promtool, "test", "rules", tests);
      const alerts = [...(await Deno.readTextFile(ALERTS)).matchAll(/- alert: (\w+)/g)];
      for (const [, name] of alerts) {
        assert.match(text, new RegExp(`alertname: ${name}\\n +exp_alerts`), `${name} is tested`);
      }
    }),
);

promtoolTest(
  "promtool accepts every query of the dashboard",
  (promtool) =>
    inTemporaryFolder(async (folder) => {
      const rules = QUERIES.map((expr, index) => {
        const query = expr.replaceAll("$__rate_interval", "5m").replaceAll("$job", ".*");
        return `      - record: query:${index}\n        expr: ${JSON.stringify(query)}\n`;
      });
      const file = `${folder}/queries.yml`;
      await Deno.writeTextFile(file, `groups:\n  - name: queries\n    rules:\n${rules.join("")}`);
      await run(promtool, "check", "rules", file);
    }),
);

test.run();
