/**
 * Agents that fall silent at once: a client registers them with short leases and does not renew them. Their
 * records expire by permits or become stale. Half of them come back by one renewal, whose answer is a promise:
 * no read after it finds them stale.
 */
import { formatUuid } from "../../../src/base/uuid.ts";
import { TTL_MS_MIN } from "../../../src/base/limits.ts";
import type { Client, RenewItem } from "../../../src/client/mod.ts";
import { Finding } from "../history.ts";
import type { Process } from "../machine.ts";

const REGION = "eu";
/** Time after which their leases are over, and a tight guard has made them stale, ms. */
const SILENT_MS = TTL_MS_MIN + 3_000;
const RETRY_MS = 500;

/** Registers so many agents, falls silent, and brings half of them back. Ends at the process's end. */
export async function fallSilent(client: Client, process: Process, count: number): Promise<void> {
  const items: RenewItem[] = [];
  for (let number = 0; number < count; number++) {
    const id = new Uint8Array(16).fill(0x51);
    id[15] = number;
    const agent = { id: formatUuid(id), region: REGION, ttlMs: TTL_MS_MIN };
    const registered = await untilDone(process, () => client.registerAgent(agent));
    if (registered === undefined) return;
    items.push({ kind: "agent", id: registered.id, incarnation: registered.incarnation });
  }
  await pause(process, SILENT_MS);
  for (const item of items.slice(0, Math.floor(count / 2))) {
    const renewed = await untilDone(process, () => client.renew([item]));
    if (renewed?.renewed !== 1) continue;
    const renewedMs = process.nowMs();
    const found = await untilDone(process, () => client.getAgent(item.id));
    const isLate = process.nowMs() - renewedMs > TTL_MS_MIN / 2;
    if (isLate || found === undefined || !found.agent.isStale) continue;
    throw new Finding("recovered_leases", `Agent ${item.id} was renewed, and is read as stale`);
  }
}

/** Repeats a call until it is answered; undefined if the record is gone, or the client is closed. */
async function untilDone<T>(process: Process, call: () => Promise<T>): Promise<T | undefined> {
  for (let tries = 0; tries < 20; tries++) {
    try {
      return await call();
    } catch (error) {
      if ((error as { code?: string }).code === "not_found") return undefined;
      await pause(process, RETRY_MS);
    }
  }
  return undefined;
}

function pause(process: Process, delayMs: number): Promise<void> {
  return new Promise((resolve) => void process.after(delayMs, resolve));
}
