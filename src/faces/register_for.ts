/**
 * Registrations for the callers of a front. The registry refuses processes that lost a record, so that they
 * do not fight for it; but the callers of a front are no process of it, and the next request of the same
 * caller may come through any front.
 */
import type { RECORD_CALLS } from "../answers/record_calls.ts";
import { incarnationText } from "../answers/record_json.ts";
import { RegistryError } from "../base/errors.ts";
import type {
  CallOptions,
  Incarnation,
  Registered,
  RegisterOptions,
  RegistryCalls,
} from "../client/mod.ts";
import type { InputOf } from "../record/kinds.ts";

/** The calls on one kind; the fields of a record are of the same kind as its calls. */
export type KindCalls = (typeof RECORD_CALLS)["agent"];

/** Options of {@link registerFor}. */
export interface RegisterForOptions extends CallOptions {
  /** The incarnation that the record must have; absent: any, or none. */
  readonly expected?: Incarnation;
  /** Whether a record that another process holds is taken over. Default: true. */
  readonly takeOver?: boolean;
}

/**
 * Registers a record for a caller.
 *
 * @throws RegistryError as `registerAgent`; `incarnation_mismatch` if it is not the expected one,
 * `invalid_argument` if one is expected of a record without an id.
 */
export async function registerFor(
  client: RegistryCalls,
  calls: KindCalls,
  record: InputOf<"agent">,
  { expected, takeOver = true, ...options }: RegisterForOptions,
): Promise<Registered> {
  if (expected !== undefined) await checkIncarnation(client, calls, { record, expected, options });
  const register: RegisterOptions = {
    ...options,
    ...(expected === undefined ? { takeOver } : { expected }),
  };
  try {
    return await calls.register(client, record, register);
  } catch (error) {
    const isLost = error instanceof RegistryError && error.code === "superseded";
    if (!isLost || register.takeOver === false) throw error;
    return await calls.register(client, record, { ...register, asNewProcess: true });
  }
}

/**
 * Checks that a record has an incarnation. The registry compares them only where another process holds the
 * record; two callers of one front are the same process.
 */
async function checkIncarnation(
  client: RegistryCalls,
  calls: KindCalls,
  { record: { id }, expected, options }: {
    readonly record: InputOf<"agent">;
    readonly expected: Incarnation;
    readonly options: CallOptions;
  },
): Promise<void> {
  if (id === undefined) {
    const message =
      "The incarnation of a record can only be expected if its id is given: add the id";
    throw new RegistryError("invalid_argument", message, { field: "id" });
  }
  const { record: { incarnation } } = await calls.get(client, id, options);
  if (incarnationText(incarnation) === incarnationText(expected)) return;
  throw new RegistryError(
    "incarnation_mismatch",
    `The record must have the incarnation ${incarnationText(expected)}: it has ${
      incarnationText(incarnation)
    }`,
    { incarnation },
  );
}
