/** Reads of descriptors, of the log that they are in, and proofs about it. */
import { RegistryError, toRegistryError } from "../../base/errors.ts";
import { GRPC_LOG_WAIT_MS, GRPC_PART_BYTES } from "../../base/limits.ts";
import {
  type GovernedRead,
  headsAfter,
  readDescriptor,
  readView,
} from "../../faces/governed_reads.ts";
import { type DescriptorsView, type GovernedSource, planeOf } from "../../faces/governed_source.ts";
import { checkSizes, consistencyProof, inclusionProof, tileAt } from "../../faces/log_proofs.ts";
import { type CallContext, callOptionsOf } from "../service.ts";
import { descriptorMessage, LOG_ACTIONS } from "./governed_messages.ts";
import type { RegistryFunctions, RegistryParts } from "./registry_functions.ts";
import { numberOf, required } from "./request_fields.ts";

type DescriptorFunctions = Pick<
  RegistryFunctions,
  | "getRegistryVersion"
  | "getDescriptor"
  | "listDescriptors"
  | "listDescriptorVersions"
  | "getRegionMap"
>;
type ProofFunctions = Pick<
  RegistryFunctions,
  "getCheckpoint" | "getTile" | "proveInclusion" | "proveConsistency" | "getBundle"
>;
type LogFunctions = Pick<
  RegistryFunctions,
  "readLog"
>;

/** Returns the functions that read. */
export function descriptorMethods({ governed: source }: RegistryParts): DescriptorFunctions {
  return {
    getRegistryVersion: async (request, context) => {
      const view = await readView(source, context.client, readOf(request, context));
      return { version: BigInt(view.version), ...ageOf(view) };
    },
    getDescriptor: async ({ id, version, ...request }, context) => {
      const read = readOf(request, context);
      const view = await readDescriptor(source, context.client, required(id, "id"), read);
      const { log } = planeOf(view);
      const number = numberOf(version, "version");
      const applied = number === 0 ? log.headOf(id) : log.versionsOf(id)[number - 1];
      if (applied !== undefined) {
        return { descriptor: descriptorMessage(applied, log), ...ageOf(view) };
      }
      throw noDescriptor(number === 0 ? id : `${id} of version ${number}`);
    },
    listDescriptors: async function* ({ after, kind, limit, ...request }, context) {
      const view = await readView(source, context.client, readOf(request, context));
      const first = numberOf(after, "after");
      let count = 0;
      for (const applied of headsAfter(view, first, kind === "" ? undefined : kind)) {
        yield { descriptor: descriptorMessage(applied, planeOf(view).log) };
        if (++count === limit) return;
      }
    },
    listDescriptorVersions: async function* ({ id, after, limit, ...request }, context) {
      const read = readOf(request, context);
      const view = await readDescriptor(source, context.client, required(id, "id"), read);
      const { log } = planeOf(view);
      const all = log.versionsOf(id);
      if (all.length === 0) throw noDescriptor(id);
      const first = numberOf(after, "after");
      const end = limit === 0 ? all.length : first + limit;
      for (const applied of all.slice(first, end)) {
        yield { descriptor: descriptorMessage(applied, log) };
      }
    },
    getRegionMap: async (request, context) => {
      const view = await readView(source, context.client, readOf(request, context));
      const map = view.plane?.log.regionMap;
      const regions = Object.entries(map?.regions ?? {}).map(([name, { services }]) => [
        name,
        {
          services: services.map(({ id, addr, tls, weight }) => ({
            id,
            address: addr,
            tls,
            weight,
          })),
        },
      ]);
      return {
        version: BigInt(map?.version ?? 0),
        regions: Object.fromEntries(regions),
        ...ageOf(view),
      };
    },
  };
}

/** Returns the function that reads the log. */
export function logMethods({ governed: source }: RegistryParts): LogFunctions {
  return {
    readLog: async function* ({ after, follow }, context) {
      const { client, signal } = context;
      const view = await readView(source, client, { ageMsMax: 0, signal });
      const permission = source.permission(client);
      let read = numberOf(after, "after");
      if (read > view.version) throw noVersion(read, view.version);
      const end = follow ? Infinity : view.version;
      while (read < end && !signal.aborted) {
        // Another view may take the place of the log, which continues in it.
        const log = source.log;
        const applied = log?.at(read + 1);
        if (applied === undefined) {
          await source.until(() => (source.log?.version ?? 0) > read, GRPC_LOG_WAIT_MS, signal);
        }
        await permission();
        if (applied === undefined) continue;
        read++;
        yield {
          action: LOG_ACTIONS[applied.read.action],
          descriptor: descriptorMessage(applied, log!),
          leaf: applied.leaf,
        };
      }
    },
  };
}

/** Returns the functions of verifiers. */
export function proofMethods({ governed: source }: RegistryParts): ProofFunctions {
  const logFor = async ({ client }: CallContext) => planeOf(await source.view(client)).log;
  return {
    getCheckpoint: async (_request, context) => {
      const view = await source.view(context.client);
      planeOf(view);
      return { checkpoint: await view.note(callOptionsOf(context)) };
    },
    getTile: async ({ path }, context) => ({ tile: tileAt(await logFor(context), path, "path") }),
    proveInclusion: async ({ version, size }, context) => {
      const entry = numberOf(version, "version");
      const treeSize = numberOf(size, "size");
      if (entry === 0) throw new RegistryError("invalid_argument", "version must be at least 1");
      const log = await logFor(context);
      const { leafIndex, root, leaf, proof, ...found } = inclusionProof(
        log,
        entry,
        treeSize === 0 ? log.version : treeSize,
      );
      return {
        leafIndex: BigInt(leafIndex),
        treeSize: BigInt(found.treeSize),
        root,
        leaf,
        proof: [...proof],
      };
    },
    proveConsistency: async (request, context) => {
      const larger = numberOf(request.to, "to");
      const log = await logFor(context);
      const { from, to, fromRoot, toRoot, proof } = consistencyProof(
        log,
        numberOf(request.from, "from"),
        larger === 0 ? log.version : larger,
      );
      return { from: BigInt(from), to: BigInt(to), fromRoot, toRoot, proof: [...proof] };
    },
    getBundle: async function* ({ id, since }, context) {
      const bytes = encoder.encode(await bundleText(source, id, numberOf(since, "since"), context));
      for (let at = 0; at < bytes.length; at += GRPC_PART_BYTES) {
        yield { part: bytes.subarray(at, at + GRPC_PART_BYTES) };
      }
    },
  };
}

const encoder = new TextEncoder();

/** Returns the bundle of a descriptor. @param known entries of the log that its reader knows. */
async function bundleText(
  source: GovernedSource,
  id: string,
  known: number,
  context: CallContext,
): Promise<string> {
  const { client } = context;
  const options = callOptionsOf(context);
  try {
    const view = await source.view(client);
    const { version } = planeOf(view).log;
    checkSizes(known, version, version);
    return JSON.stringify(await view.bundle(id, known, options));
  } catch (error) {
    if (toRegistryError(error).code !== "permission_denied") throw error;
    // A capability for some ids, which the registry compares.
    return await client.governed.bundle(id, known, options);
  }
}

function readOf(
  { maxStalenessMs }: { readonly maxStalenessMs?: number | undefined },
  { signal }: CallContext,
): GovernedRead {
  return { ...(maxStalenessMs === undefined ? {} : { ageMsMax: maxStalenessMs }), signal };
}

function ageOf(view: Pick<DescriptorsView, "ageMs">) {
  const ageMs = view.ageMs();
  return { ageMs: BigInt(Math.max(0, Math.ceil(ageMs))) };
}

function noDescriptor(what: string): RegistryError {
  return new RegistryError("not_found", `There is no descriptor ${what}`, { field: "id" });
}

function noVersion(version: number, newest: number): RegistryError {
  const message = `The log has ${newest} entries: there is none after ${version}. Read it from 0`;
  return new RegistryError("history_lost", message, { field: "after" });
}
