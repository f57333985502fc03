/** How large a demonstration is: flags, defaults and bounds. */
import { DEMO_AGENTS_MAX, DEMO_GATEWAYS_MAX, DEMO_PROXIES_MAX } from "../../base/limits.ts";
import { usageFailure } from "../failure.ts";
import type { CommonOptions } from "../shell.ts";

/** Sizes of a demonstration. */
export interface DemoSettings {
  readonly seconds: number;
  readonly gateways: number;
  readonly agents: number;
  readonly proxies: number;
  /** Lookups of one proxy a second; 0: as fast as answers come. */
  readonly rate: number;
}

/** What holds where nothing is said. */
export const DEMO_DEFAULTS: DemoSettings = {
  seconds: 20,
  gateways: 20,
  agents: 2_000,
  proxies: 50,
  rate: 20,
};

/** The least and the most of each. */
const BOUNDS: { readonly [_ in keyof DemoSettings]: readonly [number, number] } = {
  seconds: [1, 3_600],
  gateways: [1, DEMO_GATEWAYS_MAX],
  agents: [1, DEMO_AGENTS_MAX],
  proxies: [1, DEMO_PROXIES_MAX],
  rate: [0, 100_000],
};

/** Flags as typed. */
export type DemoFlags = CommonOptions & { readonly [_ in keyof DemoSettings]?: string };

/** The sizes that the flags mean. @throws CliFailure `invalid_argument`. */
export function demoSettings(flags: DemoFlags): DemoSettings {
  const settings: Record<keyof DemoSettings, number> = { ...DEMO_DEFAULTS };
  for (const key of Object.keys(BOUNDS) as (keyof DemoSettings)[]) {
    const text = flags[key];
    if (text === undefined) continue;
    const [min, max] = BOUNDS[key];
    const value = Number(text);
    if (!/^\d{1,9}$/.test(text) || value < min || value > max) {
      throw usageFailure(
        `--${key} must be an integer in [${min}, ${max}]: found ${JSON.stringify(text)}`,
        `Leave it out for ${DEMO_DEFAULTS[key]}.`,
        key,
      );
    }
    settings[key] = value;
  }
  return settings;
}
