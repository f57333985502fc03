/** The interface through which the typed calls invoke operations. */
import type { Input } from "../../schemas/runtime/writer.ts";
import {
  type Operation,
  type OperationName,
  OPERATIONS,
  type ReplyOf,
  type RequestOf,
} from "../wire/operations/mod.ts";
import type { Decode } from "./call.ts";
import type { CallOptions } from "./call_options.ts";
import type { ClusterRouting, Part } from "./cluster_routing.ts";
import type { Deadline } from "./deadline.ts";

/** Invokes operations and decodes their replies. */
export interface Invoker {
  /**
   * Invokes operation `name` with `body` and decodes the reply. Rejects with RegistryError.
   *
   * @param part where to send one of several requests. Default: by the operation's key.
   */
  invoke<Name extends OperationName, T>(
    name: Name,
    body: Input<RequestOf<Name>>,
    decode: Decode<T>,
    options?: CallOptions,
    part?: Part,
  ): Promise<T>;

  /** Starts the deadline of a call that may take several requests. */
  deadline(options: CallOptions): Deadline;

  /** Routing of calls of many partitions; absent or undefined if the cluster has one node. */
  readonly cluster?: ClusterRouting | undefined;
}

/** Client that invokes any operation by its name; used by the command line. */
export interface OperationCaller {
  /**
   * Invokes an operation by its name and returns its reply as it is on the wire: for operations
   * without a method of their own.
   *
   * @throws RegistryError one of the operation's codes (src/wire/operations).
   */
  call<Name extends OperationName>(
    name: Name,
    body: Input<RequestOf<Name>>,
    options?: CallOptions,
  ): Promise<ReplyOf<Name>>;
}

/** Invokes operation `name` with `body` and returns its reply, decoded as its description says. */
export function ask<Name extends OperationName>(
  invoker: Invoker,
  name: Name,
  body: Input<RequestOf<Name>>,
  options?: CallOptions,
): Promise<ReplyOf<Name>> {
  const { reply }: Operation = OPERATIONS[name];
  return invoker.invoke(
    name,
    body,
    (response) => response.bodyInto(reply.newView()).toPlain() as ReplyOf<Name>,
    options,
  );
}
