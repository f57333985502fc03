/** The size and place of development regions on one machine: flags, defaults and bounds. */
import { SETTINGS } from "../../node/settings.ts";
import { integerFlag } from "../integer_flag.ts";
import type { LocalRunFlags } from "../local_run.ts";

/** The data folder of development regions, if none is named. */
const REGIONS_FOLDER_DEFAULT = "./regions";

/** The names of the regions. */
const NAMES = ["eu-1", "us-1"] as const;

/** Flags of `crs region start`, as typed. */
export interface RegionsFlags extends LocalRunFlags {
  readonly data?: string;
  readonly partitions?: string;
  readonly port?: string;
  readonly logLevel?: string;
}

/** A region of one node. */
export interface LocalRegion {
  /** Name of the region, and of its node in messages. */
  readonly name: string;
  readonly folder: string;
  readonly port: number;
  readonly peerPort: number;
  readonly opsPort: number;
}

/** Development regions on one machine. */
export interface RegionsSettings {
  readonly folder: string;
  readonly regions: readonly LocalRegion[];
  readonly partitions: number;
  readonly logLevel: string;
}

/** Default and bounds of the integers. */
export const REGIONS_BOUNDS = {
  // Behind the ports of a development cluster.
  port: { default: 4481, min: 1, max: 65_535 - 3 * NAMES.length },
  // Two registries on one machine, and each sends its state to the other.
  partitions: { ...SETTINGS.partitions, default: 64 },
} as const;

/** Returns the regions that the flags describe. @throws CliFailure `invalid_argument`. */
export function regionsSettings(flags: RegionsFlags): RegionsSettings {
  const { data: folder = REGIONS_FOLDER_DEFAULT, logLevel = "warn" } = flags;
  const port = integerFlag("port", flags.port, REGIONS_BOUNDS.port);
  const regions = NAMES.map((name, at): LocalRegion => ({
    name,
    folder: `${folder}/${name}`,
    port: port + at,
    peerPort: port + NAMES.length + at,
    opsPort: port + 2 * NAMES.length + at,
  }));
  const partitions = integerFlag("partitions", flags.partitions, REGIONS_BOUNDS.partitions);
  return { folder, regions, partitions, logLevel };
}

/** Returns the flags of `crs start` for the node of a region; the same at every start. */
export function regionFlags(region: LocalRegion, { partitions }: RegionsSettings): string[] {
  const { name, folder, port, peerPort, opsPort } = region;
  return [
    ...["--data", folder, "--region", name, "--partitions", String(partitions)],
    ...["--port", String(port), "--peer-port", String(peerPort), "--ops-port", String(opsPort)],
  ];
}
