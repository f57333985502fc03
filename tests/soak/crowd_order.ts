/** The order that a soak sends to the worker that runs a crowd. */
import type { Endpoint } from "../../transport/transport.ts";

/** The parameters of a crowd. */
export interface CrowdOrder {
  /**
   * `silent`: sessions without a proof that send nothing; `never_read`: lists on every stream,
   * whose replies are not read; `lists`: lists as fast as they are answered.
   */
  readonly kind: "silent" | "never_read" | "lists";
  readonly endpoint: Endpoint;
  readonly pin: Uint8Array;
  readonly sessions: number;
  readonly region: string;
}
