/**
 * Detects pending calls of WebCrypto. Its promises settle when a thread of the runtime is done, not
 * in a turn that the test controls; a world whose time is moved by hand must wait for them, or its
 * time runs ahead of its events.
 */
import { setImmediate } from "node:timers";

const OPERATIONS = [
  "decrypt",
  "deriveBits",
  "deriveKey",
  "digest",
  "encrypt",
  "exportKey",
  "generateKey",
  "importKey",
  "sign",
  "unwrapKey",
  "verify",
  "wrapKey",
] as const;

let pending = 0;
let watched = false;
let onIdle: (() => void)[] = [];

/** Watches all calls of `crypto.subtle` in this process from now on. */
export function watchCrypto(): void {
  if (watched) return;
  watched = true;
  // deno-lint-ignore no-explicit-any -- each method stays what it is, with a count around it.
  const prototype = SubtleCrypto.prototype as any;
  for (const name of OPERATIONS) {
    const original = prototype[name];
    prototype[name] = function (this: SubtleCrypto, ...args: unknown[]) {
      pending++;
      const result = original.apply(this, args) as Promise<unknown>;
      const done = () => {
        if (--pending > 0) return;
        const waiting = onIdle;
        onIdle = [];
        for (const resolve of waiting) resolve();
      };
      result.then(done, done);
      return result;
    };
  }
}

/** Resolves when no call is pending and all reactions to the last one have run. */
export async function cryptoSettled(): Promise<void> {
  for (;;) {
    await new Promise<void>((resolve) => void setImmediate(resolve));
    if (pending === 0) return;
    await new Promise<void>((resolve) => onIdle.push(resolve));
  }
}
