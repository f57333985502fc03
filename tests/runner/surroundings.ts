/**
 * The surroundings that the test files of one process share: globals, the environment, the working
 * folder, and listeners that hide errors.
 */
// It adds to the global `performance` when a program first imports it.
import "node:perf_hooks";
import process from "node:process";

/** Objects whose properties a test may replace. */
const SHARED = {
  ...{ globalThis, Deno, Date, Math, Promise, JSON, Object, Array, Error, console, crypto },
  ...{ subtle: crypto.subtle, performance, process },
};

/**
 * Changes that loading packages makes: Deno prepares itself for CommonJS with the first such package, and
 * `tslib` adds its functions. Test files that follow find the package loaded anyway.
 */
const BY_PACKAGES =
  /^(console\.Console|globalThis\.(MessageChannel|MessagePort|nodeBootstrap|__[a-z]\w*))$/;

/** Returns a function that reports whether the surroundings differ from what they are now. */
export function surroundingsChanged(): () => boolean {
  const before = surroundings();
  return () => {
    const now = surroundings();
    const isSame = ([name, value]: [string, unknown]) =>
      before.has(name) && Object.is(before.get(name), value);
    return now.size !== before.size || !now.entries().every(isSame);
  };
}

/** Returns everything that is compared, by name. */
function surroundings(): Map<string, unknown> {
  const found = new Map<string, unknown>([
    ["working folder", Deno.cwd()],
    ["hidden rejections", isRejectionHidden()],
  ]);
  for (const [owner, object] of Object.entries(SHARED)) {
    for (const key of Reflect.ownKeys(object)) {
      const { value, get, set } = Reflect.getOwnPropertyDescriptor(object, key)!;
      const name = `${owner}.${String(key)}`;
      if (BY_PACKAGES.test(name)) continue;
      found.set(name, value).set(`${name} (get)`, get).set(`${name} (set)`, set);
    }
  }
  for (const name of process.eventNames()) {
    found.set(`listeners of ${String(name)}`, process.listenerCount(name));
  }
  for (const [name, value] of Object.entries(Deno.env.toObject())) {
    found.set(`environment ${name}`, value);
  }
  return found;
}

/** Reports whether a listener hides rejections that nobody handles. */
function isRejectionHidden(): boolean {
  const promise = Promise.resolve();
  const event = new PromiseRejectionEvent("unhandledrejection", { cancelable: true, promise });
  return !globalThis.dispatchEvent(event);
}
