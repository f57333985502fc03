/** The kinds of ban, by what they name. Numbers are stable, because they are stored in logs. */

/** Numbers of the kinds of ban. */
export const BAN_KINDS = { subject: 1, lineage: 2, token: 3 } as const;
/** The name of a kind of ban. */
export type BanKind = keyof typeof BAN_KINDS;

/** Returns the name of a kind of ban; `undefined` if there is none of that number. */
export function banKindName(number: number): BanKind | undefined {
  const names = Object.keys(BAN_KINDS) as BanKind[];
  return names.find((name) => BAN_KINDS[name] === number);
}
