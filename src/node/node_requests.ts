/**
 * Requests of this node to other nodes: one stream a node, opened with the first request and again after
 * it ended, on which all requests are in flight together.
 */
import type { Input } from "../../schemas/runtime/writer.ts";
import { RegistryError, toRegistryError } from "../base/errors.ts";
import type { NodeId } from "../base/ids.ts";
import {
  NODE_REQUESTS_IN_FLIGHT_MAX,
  NODE_REQUESTS_LOOK_MS,
  REQUEST_FRAME_BYTES_MAX,
} from "../base/limits.ts";
import type { World } from "../base/world.ts";
import { Call, rejectCall } from "../client/call.ts";
import { RequestChannel } from "../client/request_channel.ts";
import { WriteTurns } from "../client/write_turns.ts";
import type { NodeCalls } from "../serving/node_calls.ts";
import {
  type OperationName,
  OPERATIONS,
  type ReplyOf,
  type RequestOf,
} from "../wire/operations/mod.ts";
import type { Stream } from "../../transport/transport.ts";

/** Dependencies of {@link NodeRequests}. */
export interface NodeRequestsParts {
  readonly world: World;
  /** Opens a stream for requests. @throws RegistryError `connection_lost`, `overloaded`. */
  readonly open: (node: NodeId) => Promise<Stream>;
}

/** Sends requests to other nodes. */
export class NodeRequests implements NodeCalls {
  readonly #parts: NodeRequestsParts;
  readonly #streams = new Map<number, NodeStream>();

  constructor(parts: NodeRequestsParts) {
    this.#parts = parts;
  }

  /**
   * Sends a request to another node and returns the reply.
   *
   * @throws RegistryError the node's refusal; `connection_lost` if the outcome is unknown;
   * `overloaded`; `deadline_exceeded` after `timeoutMs`.
   */
  readonly call = async <Name extends OperationName>(
    node: number,
    name: Name,
    body: Input<RequestOf<Name>>,
    timeoutMs: number,
  ): Promise<ReplyOf<Name>> => {
    let stream = this.#streams.get(node);
    if (stream === undefined) {
      const opened = new NodeStream(node as NodeId, this.#parts, () => {
        if (this.#streams.get(node) === opened) this.#streams.delete(node);
      });
      this.#streams.set(node, opened);
      stream = opened;
    }
    return await stream.call(name, body, timeoutMs) as ReplyOf<Name>;
  };
}

/** The stream to one node. */
class NodeStream {
  readonly #node: NodeId;
  readonly #world: World;
  readonly #channel: RequestChannel;
  readonly #stream: Promise<Stream>;
  readonly #onEnd: () => void;
  #serial = 0;
  #isWatched = false;
  #isOver = false;

  constructor(node: NodeId, { world, open }: NodeRequestsParts, onEnd: () => void) {
    this.#node = node;
    this.#world = world;
    this.#onEnd = onEnd;
    this.#stream = open(node);
    this.#channel = new RequestChannel({
      stream: this.#stream,
      // Each request is waited for by another one, so none is held back for the others.
      turns: new WriteTurns(world.scheduler),
      header: {
        id: 0,
        timeoutMs: 0,
        ringEpoch: { generation: 0, number: 0 },
        delegation: 0,
        maxStalenessMs: 0,
        operation: 0,
      },
      capacity: NODE_REQUESTS_IN_FLIGHT_MAX,
      frameBytesMax: REQUEST_FRAME_BYTES_MAX,
      owner: {
        heard: () => {},
        answered: (call, value) => {
          call.done = true;
          call.resolve(value);
        },
        refused: rejectCall,
        control: () => {},
        served: () => {},
        nextTurn: () => new Promise((resolve) => void world.scheduler.nextTurn(resolve)),
      },
      onFailure: (error) => this.#end(error),
    });
    this.#channel.run().catch((error) => this.#end(toRegistryError(error)));
  }

  call(name: OperationName, body: unknown, timeoutMs: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#channel.table.full) return reject(tooMany(this.#node));
      const operation = OPERATIONS[name];
      const nowMs = this.#world.monotonic.nowMs();
      const call = new Call(
        {
          operation,
          body,
          decode: (response) => response.bodyInto(operation.reply.newView()).toPlain(),
          maxStalenessMs: 0,
          deadlineMs: nowMs + timeoutMs,
          resolve,
          reject,
        },
        this.#serial++,
      );
      try {
        this.#channel.send(call, nowMs);
      } catch (error) {
        return reject(toRegistryError(error));
      }
      this.#watch();
    });
  }

  /** Looks for requests whose time is over, while there are any. */
  #watch(): void {
    if (this.#isWatched || this.#isOver) return;
    this.#isWatched = true;
    this.#world.scheduler.after(NODE_REQUESTS_LOOK_MS, () => {
      this.#isWatched = false;
      const { table } = this.#channel;
      table.expire(this.#world.monotonic.nowMs(), (call) => rejectCall(call, late(this.#node)));
      if (table.count > 0) this.#watch();
    });
  }

  #end(error: RegistryError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#onEnd();
    this.#channel.close();
    // A stream that was never opened needs no end.
    this.#stream.then((stream) => stream.abort(), () => {});
    for (const call of this.#channel.table.drain()) rejectCall(call, error);
  }
}

function tooMany(node: number): RegistryError {
  return new RegistryError(
    "overloaded",
    `At most ${NODE_REQUESTS_IN_FLIGHT_MAX} requests to node ${node} may be in flight`,
    { retryAfterMs: 20 },
  );
}

function late(node: number): RegistryError {
  return new RegistryError("deadline_exceeded", `Node ${node} did not answer in time`);
}
