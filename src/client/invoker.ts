/** The interface through which the typed calls invoke operations. */
import type { Input } from "../../schemas/runtime/writer.ts";
import type { OperationName, RequestOf } from "../wire/operations/mod.ts";
import type { Decode } from "./call.ts";
import type { CallOptions } from "./types.ts";

/** Invokes operations and decodes their replies. */
export interface Invoker {
  /**
   * Invokes operation `name` with `body` and decodes the reply. Rejects with RegistryError.
   *
   * @param partition the partition whose leader is asked. Default: that of the operation's key.
   */
  invoke<Name extends OperationName, T>(
    name: Name,
    body: Input<RequestOf<Name>>,
    decode: Decode<T>,
    options?: CallOptions,
    partition?: number,
  ): Promise<T>;
}
