/** The size of a demonstration: flags, defaults and bounds. */
import { DEMO_AGENTS_MAX, DEMO_GATEWAYS_MAX, DEMO_PROXIES_MAX } from "../../base/limits.ts";
import { type IntegerBounds, integerFlag } from "../integer_flag.ts";
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

/** Default and bounds of each size. */
export const DEMO_BOUNDS: { readonly [_ in keyof DemoSettings]: IntegerBounds } = {
  seconds: { default: 20, min: 1, max: 3_600 },
  gateways: { default: 20, min: 1, max: DEMO_GATEWAYS_MAX },
  agents: { default: 2_000, min: 1, max: DEMO_AGENTS_MAX },
  proxies: { default: 50, min: 1, max: DEMO_PROXIES_MAX },
  rate: { default: 20, min: 0, max: 100_000 },
};

/** Flags as typed. */
export type DemoFlags = CommonOptions & { readonly [_ in keyof DemoSettings]?: string };

/** Returns the sizes given by the flags. @throws CliFailure `invalid_argument`. */
export function demoSettings(flags: DemoFlags): DemoSettings {
  const sizeOf = (key: keyof DemoSettings) => integerFlag(key, flags[key], DEMO_BOUNDS[key]);
  return {
    seconds: sizeOf("seconds"),
    gateways: sizeOf("gateways"),
    agents: sizeOf("agents"),
    proxies: sizeOf("proxies"),
    rate: sizeOf("rate"),
  };
}
