/**
 * Services as functions: an implementation has a function for each method of a proto service, by the
 * method's name, which takes and returns plain messages.
 */
import type {
  DescMessage,
  DescMethod,
  DescMethodBiDiStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import type { GenService, GenServiceMethods } from "@bufbuild/protobuf/codegenv2";
import { REQUEST_TIMEOUT_MS_MAX } from "../base/limits.ts";
import type { CallOptions } from "../client/mod.ts";
import type { CallerClient } from "../faces/caller_client.ts";
import type { GrpcCaller } from "./callers.ts";

/** The circumstances of a call. */
export interface CallContext {
  readonly caller: GrpcCaller;
  /**
   * The client that acts for the caller, taken when it is first read.
   *
   * @throws RegistryError as `GrpcCallers.take`.
   */
  readonly client: CallerClient;
  /** Ends when the caller leaves or its time is over. */
  readonly signal: AbortSignal;
  /** Time left until the caller's deadline, ms; `undefined`: it has none. */
  readonly timeoutMs: number | undefined;
}

/** Returns the options with which a call passes its deadline and its cancellation on. */
export function callOptionsOf(
  { signal, timeoutMs }: Pick<CallContext, "signal" | "timeoutMs">,
): Pick<CallOptions, "signal" | "timeoutMs"> {
  if (timeoutMs === undefined) return { signal };
  // A stream may last longer than a request that it makes.
  return { signal, timeoutMs: Math.min(timeoutMs, REQUEST_TIMEOUT_MS_MAX) };
}

/** Implements a method with one request and one answer. */
export type Unary<I extends DescMessage, O extends DescMessage> = (
  request: MessageShape<I>,
  context: CallContext,
) => MessageInitShape<O> | Promise<MessageInitShape<O>>;

/** Implements a method with one request and a stream of answers. */
export type ServerStreaming<I extends DescMessage, O extends DescMessage> = (
  request: MessageShape<I>,
  context: CallContext,
) => AsyncIterable<MessageInitShape<O>>;

/** Implements a method with streams in both directions. */
export type Bidirectional<I extends DescMessage, O extends DescMessage> = (
  requests: AsyncIterable<MessageShape<I>>,
  context: CallContext,
) => AsyncIterable<MessageInitShape<O>>;

/** The function that implements a method. */
export type MethodFunction<M extends DescMethod> = M extends DescMethodUnary<infer I, infer O>
  ? Unary<I, O>
  : M extends DescMethodServerStreaming<infer I, infer O> ? ServerStreaming<I, O>
  : M extends DescMethodBiDiStreaming<infer I, infer O> ? Bidirectional<I, O>
  : never;

/** The functions that implement a service. */
export type ServiceFunctions<S extends DescService> = S extends GenService<infer Methods>
  ? { readonly [Name in keyof Methods]: MethodFunction<S["method"][Name]> }
  : never;

/** A method and its function. */
export interface GrpcMethod {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly descriptor: DescMethod;
  /** Of the kind that the descriptor says. */
  readonly run:
    | Unary<DescMessage, DescMessage>
    | ServerStreaming<DescMessage, DescMessage>
    | Bidirectional<DescMessage, DescMessage>;
}

/** A service with its implementation. */
export interface GrpcService {
  readonly descriptor: DescService;
  readonly methods: readonly GrpcMethod[];
}

/** Returns a service with its implementation, whose type follows from the descriptor. */
export function implement<Methods extends GenServiceMethods>(
  descriptor: GenService<Methods>,
  functions: ServiceFunctions<GenService<Methods>>,
): GrpcService {
  const methods = descriptor.methods.map((method): GrpcMethod => ({
    path: `/${descriptor.typeName}/${method.name}`,
    descriptor: method,
    run: (functions as unknown as Record<string, GrpcMethod["run"]>)[method.localName]!,
  }));
  return { descriptor, methods };
}
