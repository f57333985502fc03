/**
 * Runs a demonstration: starts a node, runs a fleet against it, shows the progress, and removes
 * everything afterwards.
 */
import { guardRejections } from "../../../transport/guard.ts";
import { QuicDialer } from "../../../transport/quic_dialer.ts";
import { connect, type NodeStatus } from "../../client/mod.ts";
import { processWorld } from "../../node/process_world.ts";
import { EXIT_CODES } from "../exit_codes.ts";
import { LiveText, withProgress } from "../progress.ts";
import { StopRequest } from "../stop_request.ts";
import { findTarget, type Target } from "../target.ts";
import type { Terminal } from "../terminal.ts";
import { Fleet } from "./fleet.ts";
import { NodeProcess } from "./node_process.ts";
import { type DemoMoment, lineText, liveText, resultJson, resultText } from "./report.ts";
import { type DemoFlags, type DemoSettings, demoSettings } from "./settings.ts";
import { Tally } from "./tally.ts";

/** Interval between updates of the table, and between lines without a terminal, ms. */
const LIVE_MS = 500;
const LINE_MS = 5_000;

/** Implements `crs demo`. @throws RegistryError if the node cannot be started or reached. */
export async function runDemo(flags: DemoFlags, terminal: Terminal): Promise<number> {
  const settings = demoSettings(flags);
  const stop = new StopRequest(terminal, () => {});
  try {
    const node = await withProgress(terminal, "Starting a node", () => NodeProcess.start(terminal));
    let moment: DemoMoment;
    try {
      const target = findTarget({ data: node.dataFolder }, {});
      moment = await runFleet({ settings, target, terminal, stop });
    } finally {
      await node.stop();
    }
    terminal.out(flags.json === true ? resultJson(moment) : resultText(moment));
    return moment.tally.failed > 0 ? EXIT_CODES.internal : EXIT_CODES.success;
  } finally {
    stop.end();
  }
}

interface FleetRun {
  readonly settings: DemoSettings;
  readonly target: Target;
  readonly terminal: Terminal;
  readonly stop: StopRequest;
}

async function runFleet({ settings, target, terminal, stop }: FleetRun): Promise<DemoMoment> {
  const world = processWorld();
  const { endpoints, trust } = target;
  const guard = guardRejections(globalThis, () => {});
  const dialer = new QuicDialer({ scheduler: world.scheduler, onError: () => {} });
  const tally = new Tally(() => world.monotonic.nowMs());
  const fleet = new Fleet({ settings, endpoints, trust, dialer, world, tally });
  const observer = await connect({ endpoints, trust, dialer, world });
  try {
    const { gateways, agents, proxies } = settings;
    const what =
      `Registering ${gateways} gateways and ${agents} agents, connecting ${proxies} proxies`;
    await withProgress(terminal, what, () => fleet.register());
    const startMs = world.monotonic.nowMs();
    let node: NodeStatus | undefined;
    const moment = () => {
      return { settings, tally, node, elapsedS: (world.monotonic.nowMs() - startMs) / 1_000 };
    };
    const view = new DemoView(terminal, moment);
    fleet.run();
    const end = world.scheduler.after(settings.seconds * 1_000, () => view.end());
    stop.requested.then(() => view.end());
    while (await view.wait()) {
      // If the node is too busy to answer, its last figures stay; the table counts the failures.
      node = await observer.nodeStatus().catch(() => undefined) ?? node;
      view.show();
    }
    end.cancel();
    // A node that cannot answer keeps its last figures here too.
    node = await observer.nodeStatus().catch(() => undefined) ?? node;
    const last = moment();
    await fleet.stop();
    return last;
  } finally {
    await fleet.stop();
    await observer.close();
    await dialer.close();
    guard.remove();
  }
}

/**
 * The display of a demonstration: updated in place at a terminal, otherwise a line now and then.
 */
class DemoView {
  readonly #terminal: Terminal;
  readonly #moment: () => DemoMoment;
  readonly #live: LiveText;
  readonly #ended = Promise.withResolvers<void>();
  #isEnded = false;

  constructor(terminal: Terminal, moment: () => DemoMoment) {
    this.#terminal = terminal;
    this.#moment = moment;
    this.#live = new LiveText(terminal);
  }

  /** Waits until the next update; returns false at the end. */
  async wait(): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, this.#terminal.isErrTty ? LIVE_MS : LINE_MS);
    await Promise.race([promise, this.#ended.promise]);
    clearTimeout(timer);
    return !this.#isEnded;
  }

  show(): void {
    const moment = this.#moment();
    if (this.#terminal.isErrTty) this.#live.show(liveText(moment));
    else this.#terminal.err(lineText(moment));
  }

  end(): void {
    this.#isEnded = true;
    this.#ended.resolve();
    this.#live.clear();
  }
}
