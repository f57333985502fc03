/**
 * The table of record kinds: one row each. A kind that has no row is refused wherever a kind is
 * read, from a request, a log or an image; it is never taken for another one.
 */
import { assert } from "../base/assert.ts";
import { RegistryError } from "../base/errors.ts";
import type { Role } from "../base/peer.ts";
import { AGENT } from "./agent.ts";
import { GATEWAY } from "./gateway.ts";
import { KIND_MAX, RESERVED_KINDS } from "./key.ts";
import type { KindRow } from "./kind_row.ts";
import { MAPS_AGENT } from "./maps/maps_agent.ts";
import { MAPS_ENDPOINT } from "./maps/maps_endpoint.ts";
import { MAPS_GATEWAY } from "./maps/maps_gateway.ts";
import { MAPS_SEEDER } from "./maps/maps_seeder.ts";
import { PLACEMENT } from "./placement.ts";
import { RELAY } from "./relay.ts";

const ROWS = { agent: AGENT, gateway: GATEWAY } as const;
/** Kinds with operations of their own, which programs do not use by a kind's name. */
const OWN_ROWS = {
  relay: RELAY,
  placement: PLACEMENT,
  mapsGateway: MAPS_GATEWAY,
  mapsAgent: MAPS_AGENT,
  mapsEndpoint: MAPS_ENDPOINT,
  mapsSeeder: MAPS_SEEDER,
} as const;

type Rows = typeof ROWS;
/** The name of a kind. */
export type RecordKindName = keyof Rows;
/** The number of a kind. */
export type RecordKind =
  | Rows[RecordKindName]["number"]
  | (typeof OWN_ROWS)[keyof typeof OWN_ROWS]["number"];
/** The plain value with which a record of a kind is registered. */
export type InputOf<Name extends RecordKindName> = NonNullable<Rows[Name]["input"]>;
/** A row of any kind. */
export type AnyKindRow = KindRow;

/** Rows of kinds by number and by name. */
export class KindTable {
  readonly rows: readonly AnyKindRow[];
  readonly #byNumber: (AnyKindRow | undefined)[];
  /** By number, beside the rows because every renewal asks. */
  readonly #hasLease: boolean[];
  readonly #isGuarded: boolean[];

  constructor(rows: readonly AnyKindRow[]) {
    this.rows = rows;
    this.#byNumber = Array.from({ length: KIND_MAX + 1 }, () => undefined);
    this.#hasLease = Array.from({ length: KIND_MAX + 1 }, () => false);
    this.#isGuarded = Array.from({ length: KIND_MAX + 1 }, () => false);
    for (const row of rows) {
      const { number, name } = row;
      const isFree = number > 0 && number <= KIND_MAX && !RESERVED_KINDS.has(number) &&
        this.#byNumber[number] === undefined;
      assert(isFree, `Number ${number} of kind ${name} must be free, and at most ${KIND_MAX}`);
      this.#byNumber[number] = row;
      this.#hasLease[number] = row.hasLease;
      this.#isGuarded[number] = row.hasLease && row.endsAtOnce !== true;
    }
  }

  /** Returns the row of a number; `undefined` if there is none. */
  find(kind: number): AnyKindRow | undefined {
    return kind <= KIND_MAX ? this.#byNumber[kind] : undefined;
  }

  /** Returns the row of a number. @throws RegistryError `invalid_argument` if there is none. */
  row(kind: number): AnyKindRow {
    return this.find(kind) ?? refuse(this.expected(kind));
  }

  /**
   * Returns the row of a number, if operations that name a kind serve it.
   *
   * @throws RegistryError `invalid_argument` if there is no such row.
   */
  served(kind: number): AnyKindRow {
    const row = this.find(kind);
    return row === undefined || row.hasOwnOperations === true ? refuse(this.expected(kind)) : row;
  }

  /** Rows of the kinds that operations which name a kind serve. */
  get servedRows(): readonly AnyKindRow[] {
    return this.rows.filter(({ hasOwnOperations }) => hasOwnOperations !== true);
  }

  /** Reports whether records of the kind have a lease; false for an unknown kind. */
  hasLease(kind: number): boolean {
    return kind <= KIND_MAX && this.#hasLease[kind]!;
  }

  /** Reports whether the expiry guard may keep records of the kind; false for an unknown kind. */
  isGuarded(kind: number): boolean {
    return kind <= KIND_MAX && this.#isGuarded[kind]!;
  }

  /** Returns the message that refuses a number which names no kind. */
  expected(kind: number): string {
    const known = this.servedRows.map(({ number, name }) => `${number} (${name})`);
    return `Kind must be ${known.join(" or ")}: found ${kind}`;
  }
}

/** The kinds of this registry. */
export const RECORD_KINDS: KindTable = new KindTable([
  ...Object.values(ROWS),
  ...Object.values(OWN_ROWS),
]);

/**
 * Returns the number, if operations that name a kind serve it.
 *
 * @throws RegistryError `invalid_argument` if it names no such kind.
 */
export function recordKind(kind: number): RecordKind {
  return RECORD_KINDS.served(kind).number as RecordKind;
}

/** Returns the number. @throws RegistryError `invalid_argument` if it names no kind. */
export function anyKind(kind: number): RecordKind {
  return RECORD_KINDS.row(kind).number as RecordKind;
}

/** Returns the row of a kind by its name, with the types of that kind. */
export function kindNamed<Name extends RecordKindName>(name: Name): Rows[Name] {
  return ROWS[name];
}

/** Returns the name of a kind. @throws RegistryError `invalid_argument` if there is none. */
export function recordKindName(kind: number): string {
  return RECORD_KINDS.row(kind).name;
}

/** Reports whether a text is the name of a kind. */
export function isRecordKindName(name: string): name is RecordKindName {
  return Object.hasOwn(ROWS, name);
}

/** Returns the kind that identities of a role own; `undefined` if they own none. */
export function kindOwnedBy(role: Role): RecordKind | undefined {
  return RECORD_KINDS.rows.find(({ owner }) => owner === role)?.number as RecordKind | undefined;
}

const OWNERS: ReadonlySet<Role> = new Set(
  RECORD_KINDS.rows.flatMap(({ owner, ownership }) => [
    ...(owner === undefined ? [] : [owner]),
    ...ownership?.roles ?? [],
  ]),
);

/** Reports whether identities of a role can own records. */
export function ownsRecords(role: Role): boolean {
  return OWNERS.has(role);
}

function refuse(message: string): never {
  throw new RegistryError("invalid_argument", message, { field: "kind" });
}
