/** The error of a value that its field cannot hold. */

/** A value of another type than its field, or outside its range: a mistake of the caller. */
export class FieldError extends RangeError {
  /** The name of the field; that of a group stands before it, with a dot. */
  readonly field: string;

  /** @param wanted completes "<field> must …". */
  constructor(field: string, wanted: string, found: unknown) {
    super(`${field} must ${wanted}: current value is ${textOf(found)}`);
    this.field = field;
  }
}

/** Returns a number as it is, and the type of anything else. */
function textOf(found: unknown): string {
  return typeof found === "number" || found === null ? String(found) : `of type ${typeof found}`;
}
