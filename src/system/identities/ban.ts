/** A ban, as group 0 keeps it. */
import type { BanCommand } from "../../../schemas/gen/identity.ts";

/** A ban in force or expired. */
export type Ban = Readonly<Omit<BanCommand, "lifted" | "detail">> & {
  /** Lineage of the identity that made it; 0 for the registry itself. */
  readonly writer: number;
  /** Time of the ban, s since 1970. */
  readonly unixS: number;
};
