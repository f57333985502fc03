/** The means by which a read is permitted, and the records that it asks for. */
import type { Group } from "../replication/group_interface.ts";
import type { ReadPermits } from "./read_answer.ts";
import type { AskedHome } from "./regions/mirror_homes.ts";

/** The means by which a read is permitted, and the records that it asks for. */
export interface ReadBy {
  readonly maxStalenessMs: number;
  readonly permits: ReadPermits | undefined;
  readonly asked: AskedHome;
}

/** Reports whether a part is to be fetched from another node, as this one does not permit the read. */
export function isElsewhere(group: Group<unknown>, { maxStalenessMs }: ReadBy): boolean {
  return group.readElsewhere(maxStalenessMs) !== undefined;
}
