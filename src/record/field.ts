/**
 * The description of one field of a record. JSON names, conversion to the stored form, validation,
 * the flags of the command line and what it shows are derived from it.
 */

/**
 * The way in which a flag's value is read: `draining` is a switch that sets the state, `amounts` are the
 * dimensions of a capacity, one flag each, and `labels` adds one label each time it is given.
 */
export type FlagForm = "text" | "number" | "duration" | "labels" | "draining" | "amounts";

/** A type of field. */
export interface FieldType<Plain, Stored> {
  readonly form: FlagForm;
  /**
   * Returns a value found in JSON as the plain value; `field` is its name there.
   *
   * @throws RegistryError `invalid_argument` if it is of another type.
   */
  fromJson(value: unknown, field: string): Plain;
  /**
   * Returns the stored form of a plain value; {@link check} applies its rules.
   *
   * @throws RegistryError `invalid_argument` if it has none.
   */
  toStored(plain: Plain, field: string): Stored;
  /**
   * Checks a stored value and returns its canonical form; absent if every value is valid.
   *
   * @throws RegistryError `invalid_argument`.
   */
  check?(stored: Stored, field: string): Stored;
  /** Returns the value for people; "" if it is empty. */
  show(plain: Plain): string | number;
}

/** A flag of the command line that sets a field or a part of it. */
export interface FieldFlag {
  /** As commander takes it: `--wss-port <number>`. */
  readonly flag: string;
  /** A description of the value, for help and error messages. */
  readonly help: string;
  /** Name of the dimension that it sets, of a field of amounts. */
  readonly part?: string;
}

/** Another name of a field in JSON. */
export interface FieldAlias {
  readonly name: string;
  /** Returns the plain value of a foreign one. Absent: the same as under the field's own name. */
  readonly fromJson?: (value: unknown, field: string) => unknown;
}

/** The display of a field of one kind; the shared fields are shown alike for all kinds. */
export interface FieldView {
  /** Name beside the value of one record. */
  readonly label: string;
  /** Whether it is left out where it is empty. Default: "none" is shown. */
  readonly omitsEmpty?: boolean;
  /** Head of its column in a wide list; absent: it has none. */
  readonly column?: string;
}

/** A field without its name. */
export interface FieldDescription {
  // deno-lint-ignore no-explicit-any -- the fields of a record have values of all types.
  readonly type: FieldType<any, any>;
  readonly aliases?: readonly FieldAlias[];
  /** Its foreign JSON name behind the name of the kind: `ip` for `gateway_ip`, `agent_ip`. */
  readonly suffix?: string;
  readonly flags?: readonly FieldFlag[];
  readonly view?: FieldView;
  /** Whether it is stored in `Extra`, which most records do not have. */
  readonly isExtra?: boolean;
}

/** A field. */
export interface Field extends FieldDescription {
  /** Its name in the plain value, in JSON and in the stored form. */
  readonly name: string;
}

/** Returns the fields of a table, named after their properties, in its order. */
export function fields<Name extends string>(
  table: Readonly<Record<Name, FieldDescription>>,
): readonly Field[] {
  return Object.entries<FieldDescription>(table).map(([name, field]) => ({ ...field, name }));
}
