/** Reads of descriptors for the callers of a face, from the copy of the log or for one descriptor alone. */
import { toRegistryError } from "../base/errors.ts";
import type { GovernedView } from "../client/mod.ts";
import type { AppliedEntry } from "../governance/governed_log.ts";
import type { CallerClient } from "./caller_client.ts";
import type { DescriptorsView, GovernedSource } from "./governed_source.ts";

/** Options of a read for a caller. */
export interface GovernedRead {
  /** Maximum age of the answer, ms; absent: that of the copy. */
  readonly ageMsMax?: number;
  /** Waits for something newer than this global version. */
  readonly wait?: { readonly after: number; readonly ms: number };
  readonly signal: AbortSignal;
}

/**
 * Returns the view of a caller, fresh enough; waits until `versionOf` is above the version that is waited
 * for, if there is one.
 *
 * @throws RegistryError as `GovernedSource.view`.
 */
export async function readView(
  source: GovernedSource,
  client: CallerClient,
  { ageMsMax, wait, signal }: GovernedRead,
  versionOf: (view: GovernedView) => number = () => Infinity,
): Promise<GovernedView> {
  const view = await source.view(client);
  if (ageMsMax !== undefined && view.ageMs() >= ageMsMax) await view.refresh({ signal });
  if (wait === undefined || versionOf(view) > wait.after) return view;
  await source.until(() => versionOf(view) > wait.after, wait.ms, signal);
  // The caller may have lost its rights meanwhile.
  return await source.view(client);
}

/**
 * Returns a view for a caller that reads one descriptor, as {@link readView}. A caller that may not read all
 * of them may be allowed to read this one, by its capability, which the registry compares.
 *
 * @throws RegistryError as `GovernedSource.view`.
 */
export async function readDescriptor(
  source: GovernedSource,
  client: CallerClient,
  id: string,
  read: GovernedRead,
  versionOf?: (view: GovernedView) => number,
): Promise<DescriptorsView> {
  try {
    return await readView(source, client, read, versionOf);
  } catch (error) {
    if (toRegistryError(error).code !== "permission_denied") throw error;
    const { log, ageMs } = await client.governed.history(id, read.wait, { signal: read.signal });
    return { plane: { log }, version: log.headOf(id)?.entry.version ?? 0, ageMs };
  }
}

/**
 * Iterates over the newest versions of descriptors that changed after a global version, in that order. One
 * that changes meanwhile comes later, by its new version.
 */
export function* headsAfter(
  view: Pick<GovernedView, "plane" | "version">,
  after: number,
  kind?: string,
): Generator<AppliedEntry> {
  for (let version = after + 1; version <= view.version; version++) {
    const { log } = view.plane!;
    const applied = log.at(version)!;
    const { entry } = applied;
    if (log.headOf(entry.id) === applied && (kind === undefined || entry.kind === kind)) {
      yield applied;
    }
  }
}
