/**
 * A guard against the end of the process: on Deno 2.9.6 the native part of `node:http2` fails (segmentation
 * fault, or a failed assertion) if a session is closed or destroyed while it is reading or writing, which
 * a peer can bring about by a GOAWAY or by hanging up at the right moment
 * (https://github.com/denoland/deno/issues/36788). The guard lets the session finish first: `close` and
 * `destroy` take effect in a later turn, also where `node:http2` calls them by itself.
 */
import type { Http2Session } from "node:http2";
import type { Scheduler } from "../base/world.ts";

/** Defers the end of a session. Called once for each, before anything can end it. */
export function guardSession(session: Http2Session, scheduler: Scheduler): void {
  const close = session.close.bind(session);
  const destroy = session.destroy.bind(session);
  session.close = (...args) => void scheduler.after(0, () => close(...args));
  session.destroy = (...args) => void scheduler.after(0, () => destroy(...args));
}
