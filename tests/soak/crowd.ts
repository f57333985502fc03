/** Many abusive peers, in a separate worker, so that they delay only the node. */
import type { CrowdOrder } from "./crowd_order.ts";

/**
 * Runs a crowd in a worker until it is ended; resolves when all of its peers have connected once.
 */
export async function startCrowd(order: CrowdOrder): Promise<Worker> {
  const worker = new Worker(new URL("./crowd_worker.ts", import.meta.url), { type: "module" });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  worker.onmessage = () => resolve();
  worker.onerror = (event) => reject(new Error(event.message));
  worker.postMessage(order);
  await promise;
  return worker;
}
