/** What a soak tells the worker that plays a crowd. */
import type { Endpoint } from "../../transport/transport.ts";

/** What a crowd is told. */
export interface CrowdOrder {
  /**
   * `silent`: sessions without a proof that say nothing; `never_read`: lists on every stream, whose
   * answers are not read; `lists`: lists as fast as they are answered.
   */
  readonly kind: "silent" | "never_read" | "lists";
  readonly endpoint: Endpoint;
  readonly pin: Uint8Array;
  readonly sessions: number;
  readonly region: string;
}
