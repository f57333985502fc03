/** The size of a demonstration: flags, defaults and bounds. */
import { DEMO_AGENTS_MAX, DEMO_GATEWAYS_MAX, DEMO_PROXIES_MAX } from "../../base/limits.ts";
import { usageFailure } from "../failure.ts";
import type { CommonOptions } from "../shell.ts";

/** Sizes of a demonstration. */
export interface DemoSettings {
  readonly seconds: number;
  readonly gateways: number;
  readonly agents: number;
  readonly proxies: number;
  /** Lookups per second of one proxy; 0 for as fast as answers arrive. */
  readonly rate: number;
}

/** Default sizes. */
export const DEMO_DEFAULTS: DemoSettings = {
  seconds: 20,
  gateways: 20,
  agents: 2_000,
  proxies: 50,
  rate: 20,
};

/** Minimum and maximum of each size. */
const BOUNDS: { readonly [_ in keyof DemoSettings]: readonly [number, number] } = {
  seconds: [1, 3_600],
  gateways: [1, DEMO_GATEWAYS_MAX],
  agents: [1, DEMO_AGENTS_MAX],
  proxies: [1, DEMO_PROXIES_MAX],
  rate: [0, 100_000],
};

/** Flags as typed. */
export type DemoFlags = CommonOptions & { readonly [_ in keyof DemoSettings]?: string };

/** Returns the sizes given by the flags. @throws CliFailure `invalid_argument`. */
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
        `Omit it for the default, ${DEMO_DEFAULTS[key]}.`,
        key,
      );
    }
    settings[key] = value;
  }
  return settings;
}
