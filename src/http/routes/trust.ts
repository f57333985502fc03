/** Routes for verifiers of the registry's identities: keys of tokens, the trust bundle. */
import { z } from "zod";
import { RegistryError } from "../../base/errors.ts";
import { bundleFromJson, type TrustBundle } from "../../../identity/trust/trust_bundle_content.ts";
import { type HttpRoute, route, type RouteContext } from "../route.ts";
import { spiffeBundle } from "../spiffe_bundle.ts";
import { IDENTITY } from "./identity.ts";

const TAG = "identity";
const JWKS = "/.well-known/jwks.json";
const jwksSchema = z.looseObject({ keys: z.array(z.looseObject({})) });

/** Returns these routes. */
export function trustRoutes(): readonly HttpRoute[] {
  return [
    jwksRoute(`${IDENTITY}/jwks`, "get_jwks"),
    jwksRoute(JWKS, "get_well_known_jwks"),
    discoveryRoute(),
    bundleRoute(),
    spiffeRoute(),
  ];
}

function jwksRoute(path: string, name: string): HttpRoute {
  return route({
    method: "GET",
    path,
    name,
    tag: TAG,
    summary: "Shows the public keys that verify tokens, as a JWK Set",
    answers: { 200: { description: "the keys", schema: jwksSchema } },
    handle: async (_, context) => ({ body: await tokenKeys(context) }),
  });
}

function discoveryRoute(): HttpRoute {
  return route({
    method: "GET",
    path: "/.well-known/openid-configuration",
    name: "get_openid_configuration",
    tag: TAG,
    summary: "Tells verifiers of tokens where the keys are (OpenID Connect Discovery)",
    answers: {
      200: {
        description: "the issuer as tokens name it, and the place of its keys",
        schema: z.looseObject({ issuer: z.string(), jwks_uri: z.string() }),
      },
    },
    errors: ["NotFound"],
    handle: async (_, context) => {
      const { trustDomain } = contentOf(await trustBundle(context));
      return {
        body: {
          issuer: `spiffe://${trustDomain}`,
          jwks_uri: `${context.baseUrl}${JWKS}`,
          response_types_supported: ["id_token"],
          subject_types_supported: ["public"],
          id_token_signing_alg_values_supported: ["EdDSA"],
        },
      };
    },
  });
}

function bundleRoute(): HttpRoute {
  return route({
    method: "GET",
    path: `${IDENTITY}/bundle`,
    name: "get_trust_bundle",
    tag: TAG,
    summary: "Shows the signed trust bundle: CAs, servers and their pins",
    answers: { 200: { description: "the bundle", schema: z.looseObject({}) } },
    errors: ["NotFound"],
    handle: async (_, context) => ({ body: JSON.parse(await trustBundle(context)) as unknown }),
  });
}

function spiffeRoute(): HttpRoute {
  return route({
    method: "GET",
    path: `${IDENTITY}/bundle/spiffe`,
    name: "get_spiffe_bundle",
    tag: TAG,
    summary: "Shows roots and keys of tokens in SPIFFE's format of trust bundles",
    answers: {
      200: {
        description: "a JWK Set with the members of SPIFFE",
        schema: jwksSchema.extend({ spiffe_sequence: z.int(), spiffe_refresh_hint: z.int() }),
      },
    },
    errors: ["NotFound"],
    handle: async (_, context) => {
      const [text, keys] = await Promise.all([trustBundle(context), tokenKeys(context)]);
      return { body: spiffeBundle(contentOf(text), keys) };
    },
  });
}

async function tokenKeys({ client, signal }: RouteContext): Promise<JwkSet> {
  return JSON.parse(await client.identities.tokenKeys({ signal })) as JwkSet;
}

/** A JWK Set. */
export interface JwkSet {
  readonly keys: readonly Readonly<Record<string, unknown>>[];
}

async function trustBundle({ client, signal }: RouteContext): Promise<string> {
  const text = await client.identities.trustBundle({ signal });
  if (text !== "") return text;
  throw new RegistryError("not_found", "This registry has no trust bundle");
}

/** Returns the content of a signed bundle, whose signature is for whoever gets it from here. */
function contentOf(text: string): TrustBundle {
  return bundleFromJson((JSON.parse(text) as Readonly<Record<string, unknown>>)["bundle"]);
}
