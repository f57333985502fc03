/**
 * uvu that runs no test after the first one that failed: a failure is all that a mutant must cause.
 * An import map puts it in the place of uvu. Hooks still run, so that nothing is left behind.
 */
import * as uvu from "uvu";

type Handler = Parameters<uvu.Test>[1];

let hasFailed = false;

function stopping(real: uvu.Test): uvu.Test {
  const registering = (add: (name: string, handler: Handler) => void) => {
    return (name: string, handler: Handler) =>
      add(name, async (context) => {
        if (hasFailed) return;
        try {
          await handler(context);
        } catch (error) {
          hasFailed = true;
          throw error;
        }
      });
  };
  const { skip, run, before, after } = real;
  const parts = { only: registering(real.only), skip, run, before, after };
  return Object.assign(registering(real), parts) as uvu.Test;
}

/** uvu's `test`, up to the first failure. */
export const test: uvu.Test = stopping(uvu.test);

/** uvu's `suite`, up to the first failure. */
export function suite(name?: string, context?: Record<string, unknown>): uvu.Test {
  return stopping(uvu.suite(name, context) as uvu.Test);
}

/** uvu's `exec`, unchanged. */
export const exec: typeof uvu.exec = uvu.exec;
