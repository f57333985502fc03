/** Routes for the control plane: certificates, tokens, capabilities. */
import { z } from "zod";
import { claimsJson } from "../../answers/identity_json.ts";
import { decodeBase64 } from "../../base/base64.ts";
import { CAPABILITY_SCOPES } from "../../base/capability.ts";
import {
  CAPABILITY_BYTES_MAX,
  CAPABILITY_LIFE_MS_MAX,
  READ_LIMIT_ENTRIES_MAX,
  READ_LIMITS_MAX,
  TOKEN_LIFE_MS_MAX,
} from "../../base/limits.ts";
import type { Grants } from "../../base/peer.ts";
import type { IssuedIdentity } from "../../client/mod.ts";
import type { Caveat, ListKind } from "../../../identity/capabilities/caveat.ts";
import { decodePem, encodePem, type PemLabel } from "../../../identity/pki/pem.ts";
import { formatRegionScope, parseSpiffeId } from "../../../identity/pki/spiffe.ts";
import { badRequest } from "../errors.ts";
import { type HttpRoute, route } from "../route.ts";
import { uuid } from "../schemas.ts";

/** Where these routes are. */
export const IDENTITY = "/v1/identity";
const WHO_AM_I = "/v1/whoami";
const TAG = "identity";
/** Longest name of a subject or audience, and longest PEM or base64 of a certificate or request. */
const NAME_LENGTH_MAX = 512;
const DER_TEXT_LENGTH_MAX = 32_768;
const CHAIN_MAX = 8;

const subject = z.string().min(1).max(NAME_LENGTH_MAX).describe("SPIFFE id");
const der = (what: string) =>
  z.string().min(1).max(DER_TEXT_LENGTH_MAX).describe(`${what}: PEM, or DER in base64`);
const conditions = z.array(z.string().min(1).max(NAME_LENGTH_MAX)).max(READ_LIMIT_ENTRIES_MAX);
const readLimit = z.strictObject({
  regions: conditions.optional().describe("the record is of one of these"),
  labels: z.array(z.strictObject({ key: z.string(), value: z.string() }))
    .max(READ_LIMIT_ENTRIES_MAX).optional().describe("the record has all of these"),
  domains: conditions.optional().describe("its domain is one of these, exact or *. and a suffix"),
}).meta({ id: "ReadLimit" });
const grants = z.strictObject({
  domains: z.array(z.string()).max(256).optional().describe("domains that the holder may claim"),
  gateways: z.array(uuid).max(256).optional().describe("gateways that the holder may name"),
  credentialHashes: z.boolean().optional().describe("whether it reads credential hashes"),
  reads: z.array(readLimit).min(1).max(READ_LIMITS_MAX).optional().describe(
    "limits on what it reads, within all of which a record must be",
  ),
}).meta({ id: "Grants" });
const issuedSchema = z.looseObject({
  chain: z.array(z.string()).describe("PEM, the certificate first, without the root"),
  bundle: z.unknown().describe("the signed trust bundle; null if there is none"),
}).meta({ id: "IssuedIdentity" });

/** Returns these routes. */
export function identityRoutes(): readonly HttpRoute[] {
  return [
    whoAmIRoute(),
    joinTokenRoute(),
    enrolRoute(),
    renewRoute(),
    tokenRoute(),
    capabilityRoute(),
    verifyRoute(),
  ];
}

const knownSchema = z.looseObject({
  subject: z.string().describe("SPIFFE id; capability: and its id"),
  role: z.string().describe("its role; anonymous without an identity"),
  region: z.string().describe("empty: none"),
  lineage: z.number().describe("of its certificates, as writer of a record has it; 0: none"),
  expiresAtMs: z.number().nullable().describe("Unix ms; null: never"),
  grants: z.looseObject({
    domains: z.array(z.string()),
    gateways: z.array(z.string()),
    credentialHashes: z.boolean(),
    reads: z.array(readLimit),
  }).describe("rights beyond those of its role"),
  scopes: z.array(z.string()).describe("of a capability"),
  front: z.string().describe("subject of the front that acts for it; empty: none does"),
}).meta({ id: "KnownIdentity" });

function whoAmIRoute(): HttpRoute {
  return route({
    method: "GET",
    path: WHO_AM_I,
    name: "who_am_i",
    tag: TAG,
    summary: "Returns the caller's identity and rights, as the registry knows them",
    answers: { 200: { description: "the identity", schema: knownSchema } },
    handle: async (_request, { client, signal }) => {
      return { body: { ...await client.identities.whoAmI({ signal }) } };
    },
  });
}

function joinTokenRoute(): HttpRoute {
  return route({
    method: "POST",
    path: `${IDENTITY}/join-tokens`,
    name: "create_join_token",
    tag: TAG,
    summary: "Creates a one-time token for a subject's first certificate; for controllers",
    body: z.strictObject({ subject, grants: grants.optional() }),
    answers: {
      201: {
        description: "the token, which is shown once",
        schema: z.looseObject({ subject: z.string(), token: z.string(), expiresAtMs: z.number() }),
      },
    },
    handle: async ({ body }, { client, signal }) => {
      const made = await client.identities.createJoinToken(
        body.subject,
        grantsOf(body.grants),
        { signal },
      );
      const { token, expiresAtMs } = made;
      return { body: { subject: body.subject, token, expiresAtMs } };
    },
  });
}

function enrolRoute(): HttpRoute {
  return route({
    method: "POST",
    path: `${IDENTITY}/enrol`,
    name: "enrol",
    tag: TAG,
    summary: "Issues a first certificate to the holder of a join token",
    body: z.strictObject({
      token: z.string().min(1).max(NAME_LENGTH_MAX).describe("the join token"),
      subject,
      request: der("certificate request (PKCS #10)"),
    }),
    answers: { 201: { description: "the certificate", schema: issuedSchema } },
    errors: ["StaleVersion"],
    handle: async ({ body }, { client, signal }) => {
      const { token, subject } = body;
      const request = derOf("CERTIFICATE REQUEST", body.request, "request");
      const order = { token, subject, request };
      return { body: issuedJson(await client.identities.enrol(order, { signal })) };
    },
  });
}

function renewRoute(): HttpRoute {
  return route({
    method: "POST",
    path: `${IDENTITY}/renew`,
    name: "renew_certificate",
    tag: TAG,
    summary: "Issues the next certificate to the holder of the current one, who proves its key",
    body: z.strictObject({
      chain: z.array(der("certificate")).min(1).max(CHAIN_MAX).describe("the current one first"),
      request: der("certificate request (PKCS #10)"),
      timeMs: z.int().min(0).describe("Unix ms"),
      proof: z.string().max(NAME_LENGTH_MAX).describe("the key's signature, in base64"),
    }),
    answers: { 201: { description: "the certificate", schema: issuedSchema } },
    errors: ["StaleVersion"],
    handle: async ({ body }, { client, signal }) => {
      const { timeMs } = body;
      const proof = decodeBase64(body.proof);
      if (proof === undefined) {
        throw badRequest("proof must be canonical base64", "Encode the signature.");
      }
      const chain = body.chain.map((text) => derOf("CERTIFICATE", text, "chain"));
      const request = derOf("CERTIFICATE REQUEST", body.request, "request");
      const order = { chain, request, timeMs, proof };
      return { body: issuedJson(await client.identities.renew(order, { signal })) };
    },
  });
}

function tokenRoute(): HttpRoute {
  return route({
    method: "POST",
    path: `${IDENTITY}/tokens`,
    name: "issue_token",
    tag: TAG,
    summary: "Issues a token that is bound to the latest certificate of a subject; for controllers",
    body: z.strictObject({
      subject,
      audience: z.string().min(1).max(NAME_LENGTH_MAX).optional().describe(
        "service that accepts it (default: the registry of the subject's region)",
      ),
      lifeMs: z.int().min(1_000).max(TOKEN_LIFE_MS_MAX),
      grants: grants.optional(),
    }),
    answers: {
      201: {
        description: "the token, and what it claims",
        schema: z.looseObject({ token: z.string(), claims: z.unknown() }),
      },
    },
    errors: ["NotFound"],
    handle: async ({ body }, { client, signal }) => {
      const { subject, lifeMs } = body;
      const audience = body.audience ?? formatRegionScope(parseSpiffeId(subject));
      const order = { subject, audience, lifeMs, grants: grantsOf(body.grants) };
      const token = await client.identities.issueToken(order, { signal });
      return { body: { token, claims: claimsJson(token) ?? null } };
    },
  });
}

const alternatives = z.array(z.string().min(1).max(255)).min(1).max(64);
const capabilityBody = z.strictObject({
  scope: z.array(z.enum(CAPABILITY_SCOPES)).min(1),
  lifeMs: z.int().min(1_000).max(CAPABILITY_LIFE_MS_MAX),
  operation: alternatives.optional().describe("names of operations"),
  idPrefix: alternatives.optional().describe("beginnings of ids of descriptors or records"),
  path: alternatives.optional().describe("paths of requests, with all that is below them"),
  method: alternatives.optional().describe("methods of HTTP"),
  address: alternatives.optional().describe("networks of callers"),
});
/** The kinds of caveats, in the order in which they are added. */
const CAVEATS: readonly ListKind[] = [
  "scope",
  "operation",
  "idPrefix",
  "path",
  "method",
  "address",
];
const capabilitySchema = z.looseObject({
  capabilityId: z.string(),
  expiresAtMs: z.number(),
});

function capabilityRoute(): HttpRoute {
  return route({
    method: "POST",
    path: `${IDENTITY}/capabilities`,
    name: "mint_capability",
    tag: TAG,
    summary: "Mints a capability, which its holders can narrow; for controllers",
    body: capabilityBody,
    answers: {
      201: {
        description: "the capability, which is shown once",
        schema: z.looseObject({ capability: z.string() }),
      },
    },
    handle: async ({ body }, { client, signal }) => {
      const caveats = CAVEATS.flatMap((kind): Caveat[] => {
        const any = body[kind];
        return any === undefined ? [] : [{ kind, any } as Caveat];
      });
      const order = { caveats, lifeMs: body.lifeMs };
      const capability = await client.identities.mintCapability(order, { signal });
      return { body: { capability } };
    },
  });
}

function verifyRoute(): HttpRoute {
  return route({
    method: "POST",
    path: `${IDENTITY}/capabilities/verify`,
    name: "verify_capability",
    tag: TAG,
    summary: "Has a capability verified: signature, expiry and bans",
    body: z.strictObject({ capability: z.string().min(1).max(CAPABILITY_BYTES_MAX) }),
    answers: { 200: { description: "it is valid", schema: capabilitySchema } },
    handle: async ({ body: { capability } }, { client, signal }) => {
      const { capabilityId, expiresAtMs } = await client.identities.verifyCapability(
        capability,
        { signal },
      );
      return { body: { capabilityId, expiresAtMs } };
    },
  });
}

function grantsOf(given: z.output<typeof grants> | undefined): Grants {
  const { domains = [], gateways = [], credentialHashes, reads } = given ?? {};
  const limits = reads?.map(({ regions = [], labels = [], domains = [] }) => {
    return { regions, labels, domains };
  });
  return {
    domains,
    gateways,
    ...(credentialHashes === true ? { credentialHashes } : {}),
    ...(limits === undefined ? {} : { reads: limits }),
  };
}

function issuedJson({ chain, bundle }: IssuedIdentity) {
  return {
    chain: chain.map((der) => encodePem("CERTIFICATE", der)),
    bundle: bundle === "" ? null : JSON.parse(bundle) as unknown,
  };
}

/** Returns the bytes of one PEM part or of base64. @throws HttpError BadRequest. */
function derOf(label: PemLabel, text: string, field: string): Uint8Array {
  const isPem = text.includes("-----BEGIN");
  const bytes = isPem ? decodePem(label, text)[0] : decodeBase64(text);
  if (bytes === undefined || bytes.length === 0) throw notEncoded(field);
  return bytes;
}

function notEncoded(field: string) {
  return badRequest(`${field} must be PEM or canonical base64`, "Encode its DER.");
}
