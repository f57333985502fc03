/** Routes for verifiers of the governed plane: checkpoint, tiles, proofs, bundles. */
import { z } from "zod";
import { encodeBase64 } from "../../base/base64.ts";
import { toRegistryError } from "../../base/errors.ts";
import { descriptorId } from "../governed/governed_schemas.ts";
import { type GovernedSource, planeOf } from "../../faces/governed_source.ts";
import { checkSizes, consistencyProof, inclusionProof, tileAt } from "../../faces/log_proofs.ts";
import { type HttpRoute, route } from "../route.ts";
import { REGISTRY } from "./descriptors.ts";

const TAG = "proofs";
const proof = z.array(z.string()).describe("hashes in base64, RFC 6962");

/** Returns these routes. */
export function proofRoutes(source: GovernedSource): readonly HttpRoute[] {
  return [
    checkpointRoute(source),
    tileRoute(source),
    inclusionRoute(source),
    consistencyRoute(source),
    bundleRoute(source),
  ];
}

function checkpointRoute(source: GovernedSource): HttpRoute {
  return route({
    method: "GET",
    path: `${REGISTRY}/checkpoint`,
    name: "get_checkpoint",
    tag: TAG,
    summary: "Shows the signed size and root of the log (C2SP tlog-checkpoint)",
    answers: { 200: { description: "a signed note", type: "text/plain" } },
    errors: ["NotFound"],
    handle: async (_, { client, signal }) => {
      const view = await source.view(client);
      planeOf(view);
      const body = await view.note({ signal });
      return { body, headers: { "content-type": "text/plain; charset=utf-8" } };
    },
  });
}

function tileRoute(source: GovernedSource): HttpRoute {
  return route({
    method: "GET",
    path: `${REGISTRY}/tile/{tile}`,
    name: "get_tile",
    tag: TAG,
    summary: "Gets a tile of the log (C2SP tlog-tiles): hashes, or entries",
    params: z.strictObject({
      tile: z.string().max(80).describe(
        "such as `0/000`, `entries/x001/234.p/5`, with its slashes",
      ),
    }),
    answers: { 200: { description: "the tile, for ever", type: "application/octet-stream" } },
    errors: ["NotFound"],
    handle: async ({ path: { tile } }, { client }) => {
      const { log } = planeOf(await source.view(client));
      const body = tileAt(log, tile, "tile");
      return {
        body,
        headers: {
          "content-type": "application/octet-stream",
          "cache-control": "max-age=31536000, immutable",
        },
      };
    },
  });
}

function inclusionRoute(source: GovernedSource): HttpRoute {
  return route({
    method: "GET",
    path: `${REGISTRY}/proof/inclusion`,
    name: "prove_inclusion",
    tag: TAG,
    summary: "Proves that an entry is in the log",
    query: z.strictObject({
      version: z.int().min(1).describe("global version of the entry"),
      size: z.int().min(1).optional().describe("entries of the log (default: all)"),
    }),
    answers: {
      200: {
        description: "the proof; the leaf is the entry's bytes",
        schema: z.looseObject({
          version: z.int(),
          leaf_index: z.int(),
          tree_size: z.int(),
          root: z.string(),
          leaf: z.string(),
          proof,
        }),
      },
    },
    errors: ["NotFound"],
    handle: async ({ query: { version, size } }, { client }) => {
      const { log } = planeOf(await source.view(client));
      const { leafIndex, treeSize, root, leaf, proof } = inclusionProof(log, version, size);
      return {
        body: {
          version,
          leaf_index: leafIndex,
          tree_size: treeSize,
          root: encodeBase64(root),
          leaf: encodeBase64(leaf),
          proof: proof.map(encodeBase64),
        },
      };
    },
  });
}

function consistencyRoute(source: GovernedSource): HttpRoute {
  return route({
    method: "GET",
    path: `${REGISTRY}/proof/consistency`,
    name: "prove_consistency",
    tag: TAG,
    summary: "Proves that the log of one size extends that of a smaller one",
    query: z.strictObject({
      from: z.int().min(0).describe("entries of the smaller log"),
      to: z.int().min(1).optional().describe("entries of the larger one (default: all)"),
    }),
    answers: {
      200: {
        description: "the proof, and both roots",
        schema: z.looseObject({
          from: z.int(),
          to: z.int(),
          from_root: z.string(),
          to_root: z.string(),
          proof,
        }),
      },
    },
    errors: ["NotFound"],
    handle: async ({ query }, { client }) => {
      const { log } = planeOf(await source.view(client));
      const { from, to, fromRoot, toRoot, proof } = consistencyProof(log, query.from, query.to);
      return {
        body: {
          from,
          to,
          from_root: encodeBase64(fromRoot),
          to_root: encodeBase64(toRoot),
          proof: proof.map(encodeBase64),
        },
      };
    },
  });
}

function bundleRoute(source: GovernedSource): HttpRoute {
  return route({
    method: "GET",
    path: `${REGISTRY}/bundle/{id}`,
    name: "get_bundle",
    tag: TAG,
    summary:
      "Gets one file by which a descriptor is verified offline: crs descriptor verify --offline",
    params: z.strictObject({ id: descriptorId }),
    query: z.strictObject({
      since: z.int().min(0).optional().describe("entries of the log that the verifier knows"),
    }),
    answers: { 200: { description: "the bundle", schema: z.looseObject({}) } },
    errors: ["NotFound"],
    handle: async ({ path: { id }, query: { since = 0 } }, { client, signal }) => {
      try {
        const view = await source.view(client);
        checkSizes(since, planeOf(view).log.version, planeOf(view).log.version);
        return { body: await view.bundle(id, since, { signal }) };
      } catch (error) {
        if (toRegistryError(error).code !== "permission_denied") throw error;
        // A capability for some ids, which the registry compares.
        return { body: `${await client.governed.bundle(id, since, { signal })}\n` };
      }
    },
  });
}
