/** Join tokens, certificates, tokens and capabilities. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  Grants as GrantsMessage,
  GrantsSchema,
  IssuedCertificateSchema,
} from "../../../schemas/proto/gen/crs/v1/identity_pb.ts";
import { RegistryError } from "../../base/errors.ts";
import { isCapabilityScope } from "../../base/capability.ts";
import type { Grants } from "../../base/peer.ts";
import type { IssuedIdentity } from "../../client/mod.ts";
import type { Caveat } from "../../../identity/capabilities/caveat.ts";
import { formatRegionScope, parseSpiffeId } from "../../../identity/pki/spiffe.ts";
import { callOptionsOf } from "../service.ts";
import type { RegistryFunctions } from "./registry_functions.ts";
import { invalidField, numberOf, required } from "./request_fields.ts";

type IdentityFunctions = Pick<
  RegistryFunctions,
  | "createJoinToken"
  | "enrol"
  | "renewCertificate"
  | "issueToken"
  | "mintToken"
  | "mintCapability"
  | "verifyCapability"
  | "getTokenKeys"
  | "getTrustBundle"
>;

/** Returns these functions. */
export function identityMethods(): IdentityFunctions {
  return {
    createJoinToken: async ({ subject, grants }, context) => {
      const { identities } = context.client;
      const given = grantsOf(grants);
      const made = await identities.createJoinToken(subject, given, callOptionsOf(context));
      return { token: made.token, expiresAtUnixMs: BigInt(made.expiresAtMs) };
    },
    enrol: async ({ token, subject, certificateRequest: request }, context) => {
      const order = { token: required(token, "token"), subject, request };
      const issued = await context.client.identities.enrol(order, callOptionsOf(context));
      return { certificate: certificateMessage(issued) };
    },
    renewCertificate: async ({ chain, certificateRequest, timeUnixMs, proof }, context) => {
      const timeMs = numberOf(timeUnixMs, "time_unix_ms");
      const order = { chain, request: certificateRequest, timeMs, proof };
      const issued = await context.client.identities.renew(order, callOptionsOf(context));
      return { certificate: certificateMessage(issued) };
    },
    issueToken: async ({ subject, audience, lifeMs, grants }, context) => {
      const order = {
        subject,
        audience: audience || formatRegionScope(parseSpiffeId(subject)),
        lifeMs,
        grants: grantsOf(grants),
      };
      return { token: await context.client.identities.issueToken(order, callOptionsOf(context)) };
    },
    mintToken: async ({ audience, lifeMs }, context) => {
      const { identities } = context.client;
      return { token: await identities.mintToken(audience, lifeMs, callOptionsOf(context)) };
    },
    mintCapability: async ({ lifeMs, ...lists }, context) => {
      const order = { caveats: caveatsOf(lists), lifeMs: numberOf(lifeMs, "life_ms") };
      const { identities } = context.client;
      return { capability: await identities.mintCapability(order, callOptionsOf(context)) };
    },
    verifyCapability: async ({ capability }, context) => {
      const { identities } = context.client;
      const verified = await identities.verifyCapability(capability, callOptionsOf(context));
      const { capabilityId, expiresAtMs } = verified;
      return { capabilityId, expiresAtUnixMs: BigInt(expiresAtMs) };
    },
    getTokenKeys: async (_request, context) => (
      { jwkSet: await context.client.identities.tokenKeys(callOptionsOf(context)) }
    ),
    getTrustBundle: async (_request, context) => {
      const trustBundle = await context.client.identities.trustBundle(callOptionsOf(context));
      if (trustBundle !== "") return { trustBundle };
      throw new RegistryError("not_found", "This registry has no trust bundle");
    },
  };
}

function grantsOf(grants: GrantsMessage | undefined): Grants {
  const { domains = [], gateways = [], credentialHashes = false, reads = [] } = grants ?? {};
  return {
    domains,
    gateways,
    ...(credentialHashes ? { credentialHashes } : {}),
    ...(reads.length === 0 ? {} : {
      reads: reads.map(({ regions, labels, domains }) => ({
        regions,
        labels: Object.entries(labels).map(([key, value]) => ({ key, value })),
        domains,
      })),
    }),
  };
}

/** Returns grants. */
export function grantsMessage(
  { domains, gateways, credentialHashes, reads }: Required<Grants>,
): MessageInitShape<typeof GrantsSchema> {
  return {
    domains: [...domains],
    gateways: [...gateways],
    credentialHashes,
    reads: reads.map(({ regions, labels, domains }) => ({
      regions: [...regions],
      labels: Object.fromEntries(labels.map(({ key, value }) => [key, value])),
      domains: [...domains],
    })),
  };
}

/** Returns the caveats of a capability, in the order in which they are added. */
function caveatsOf(
  { scopes, operations, idPrefixes, paths, methods, addresses }: {
    readonly scopes: readonly string[];
    readonly operations: readonly string[];
    readonly idPrefixes: readonly string[];
    readonly paths: readonly string[];
    readonly methods: readonly string[];
    readonly addresses: readonly string[];
  },
): Caveat[] {
  if (scopes.length === 0) throw invalidField("scopes", "be given");
  const scope = scopes.map((name) => {
    if (isCapabilityScope(name)) return name;
    throw invalidField("scopes", `be names of scopes: found ${JSON.stringify(name.slice(0, 40))}`);
  });
  const caveats: Caveat[] = [
    { kind: "scope", any: scope },
    { kind: "operation", any: operations },
    { kind: "idPrefix", any: idPrefixes },
    { kind: "path", any: paths },
    { kind: "method", any: methods },
    { kind: "address", any: addresses },
  ];
  return caveats.filter((caveat) => caveat.kind !== "expiry" && caveat.any.length > 0);
}

function certificateMessage(
  { chain, bundle }: IssuedIdentity,
): MessageInitShape<typeof IssuedCertificateSchema> {
  return { chain: [...chain], trustBundle: bundle };
}
