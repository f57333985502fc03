/** Routes that change the governed plane: proposals, signatures, apply. */
import { z } from "zod";
import { givenPayload, proposalJson, proposalStateJson } from "../../answers/governed_json.ts";
import { toRegistryError } from "../../base/errors.ts";
import { readSignature } from "../../governance/documents/signature.ts";
import type { GovernedEvents } from "../governed/governed_events.ts";
import {
  proposalBody,
  proposalParams,
  proposalSchema,
  proposalState,
  signaturesBody,
} from "../governed/governed_schemas.ts";
import type { GovernedSource } from "../../faces/governed_source.ts";
import type { HttpMetrics } from "../metrics.ts";
import { type HttpRoute, route } from "../route.ts";
import { REGISTRY } from "./descriptors.ts";

const TAG = "governed";

/** The parts of the governed plane that these routes need. */
export interface ProposalParts {
  readonly source: GovernedSource;
  readonly events: GovernedEvents;
  readonly metrics: HttpMetrics;
}

/** Returns these routes. */
export function proposalRoutes(parts: ProposalParts): readonly HttpRoute[] {
  return [proposeRoute(parts), signRoute(), getRoute(), applyRoute(parts)];
}

function proposeRoute({ source, events }: ProposalParts): HttpRoute {
  return route({
    method: "POST",
    path: `${REGISTRY}/proposals`,
    name: "propose",
    tag: TAG,
    summary: "Proposes the next version of a descriptor; nothing applies by itself",
    body: proposalBody,
    answers: {
      202: {
        description: "it gathers signatures; the same payload again adds to the same proposal",
        schema: proposalState,
        headers: { Location: "the proposal" },
      },
    },
    errors: ["StaleVersion", "BadSignature"],
    handle: async ({ body }, { client, signal, requestId }) => {
      const read = givenPayload(body.payload, "payload");
      const signatures = (body.signatures ?? []).map(readSignature);
      const state = await client.governed.propose(read.bytes, signatures, { signal });
      const { id, kind, version } = read.payload;
      if (state.version === 0) {
        events.proposed({
          proposal: state.proposal,
          id,
          kind,
          version,
          contentId: read.contentId,
          requestId,
          globalVersion: source.log?.version ?? 0,
        });
      }
      return {
        body: proposalStateJson(state, { payload_b3: read.contentId }),
        headers: { location: `${REGISTRY}/proposals/${state.proposal}` },
        facts: { descriptor_id: id, version },
      };
    },
  });
}

function signRoute(): HttpRoute {
  return route({
    method: "POST",
    path: `${REGISTRY}/proposals/{id}/signatures`,
    name: "add_signatures",
    tag: TAG,
    summary: "Adds signatures to a proposal",
    params: proposalParams,
    body: signaturesBody,
    answers: { 200: { description: "they count", schema: proposalState } },
    errors: ["NotFound", "BadSignature"],
    handle: async ({ path: { id }, body }, { client, signal }) => {
      const given = "signatures" in body ? body.signatures : [body];
      const signatures = given.map(readSignature);
      const state = await client.governed.sign(Number(id), signatures, { signal });
      return { body: proposalStateJson(state) };
    },
  });
}

function getRoute(): HttpRoute {
  return route({
    method: "GET",
    path: `${REGISTRY}/proposals/{id}`,
    name: "get_proposal",
    tag: TAG,
    summary: "Shows an open or an applied proposal",
    params: proposalParams,
    answers: { 200: { description: "the proposal", schema: proposalSchema } },
    errors: ["NotFound"],
    handle: async ({ path: { id } }, { client, signal }) => {
      const found = await client.governed.proposal(Number(id), { signal });
      return { body: proposalJson(Number(id), found) };
    },
  });
}

function applyRoute({ source, events, metrics }: ProposalParts): HttpRoute {
  return route({
    method: "POST",
    path: `${REGISTRY}/apply/{id}`,
    name: "apply_proposal",
    tag: TAG,
    summary: "Applies a proposal that has its quorum; again: the same answer",
    params: proposalParams,
    answers: {
      200: {
        description: "it is published",
        schema: z.looseObject({ version: z.int().describe("global version") }),
      },
    },
    errors: ["NotFound", "StaleVersion", "NoQuorum"],
    handle: async ({ path: { id } }, context) => {
      const { client, signal, requestId } = context;
      const takeBack = events.applying(Number(id), requestId);
      try {
        const state = await client.governed.apply(Number(id), { signal });
        metrics.updated("applied");
        const applied = await source.seen(client, state.version, signal);
        const named = applied === undefined ? {} : { descriptor_id: applied.entry.id };
        return { body: proposalStateJson(state), facts: { ...named, version: state.version } };
      } catch (error) {
        takeBack();
        metrics.updated(toRegistryError(error).code);
        throw error;
      }
    },
  });
}
