/** Schemas of the governed plane's routes. The registry itself checks payloads and signatures. */
import { z } from "zod";
import { GOVERNED_ID_LENGTH_MAX, SIGNERS_MAX } from "../../base/limits.ts";

/** A number in a path, from 1 on. */
export const pathNumber = z.string().regex(
  /^[1-9]\d{0,14}$/,
  "it must be a whole number from 1 on",
);

/** The number of a proposal in a path. */
export const proposalParams = z.strictObject({ id: pathNumber });

/** The id of a descriptor in a path. */
export const descriptorId = z.string().min(1).max(GOVERNED_ID_LENGTH_MAX).describe(
  "id of the descriptor",
);

/** A signature in either spelling. */
const signature = z.union([
  z.strictObject({
    signer_id: z.string(),
    alg: z.string(),
    sig_bytes: z.string().describe("base64"),
    ts: z.string(),
  }),
  z.strictObject({
    signer_id: z.string(),
    algo: z.string(),
    sig: z.string().describe("base64"),
    signed_at: z.string(),
  }),
]).meta({ id: "Signature" });

/** The body of a proposal. */
export const proposalBody = z.strictObject({
  payload: z.record(z.string(), z.unknown()).describe(
    "{schema, id, kind, version, prev_hash, body}; of a first version, schema, version and " +
      "prev_hash may be left out",
  ),
  signatures: z.array(signature).max(SIGNERS_MAX).optional(),
});

/** The body of further signatures: several, or one. */
export const signaturesBody = z.union([
  z.strictObject({ signatures: z.array(signature).min(1).max(SIGNERS_MAX) }),
  signature,
]);

/** The state of a proposal. */
export const proposalState = z.looseObject({
  proposal_id: z.int(),
  version: z.int().nullable().describe("global version once it is applied"),
  missing: z.int().describe("signatures that it lacks"),
}).meta({ id: "ProposalState" });

/** A proposal. */
export const proposalSchema = z.looseObject({
  proposal_id: z.int(),
  version: z.int().nullable(),
  missing: z.int(),
  caller: z.string().nullable(),
  created_at: z.number(),
  expires_in_ms: z.number().nullable(),
  payload: z.record(z.string(), z.unknown()),
  signatures: z.array(z.looseObject({ signer_id: z.string() })),
});

/** A signed version of a descriptor. */
export const descriptorSchema = z.looseObject({
  schema: z.string(),
  id: z.string(),
  kind: z.string(),
  version: z.int(),
  prev_hash: z.string(),
  body: z.record(z.string(), z.unknown()),
  state: z.enum(["published", "replaced", "superseded", "deprecated"]),
  payload_b3: z.string(),
  global_version: z.int(),
  committed_at: z.number(),
  ts: z.string(),
  signatures: z.array(z.looseObject({
    signer_id: z.string(),
    alg: z.string(),
    sig_bytes: z.string(),
    ts: z.string(),
  })),
}).meta({ id: "Descriptor" });

/** The regions by their ids. */
export const regionMapSchema = z.looseObject({
  version: z.int(),
  regions: z.record(
    z.string(),
    z.looseObject({
      services: z.array(z.looseObject({
        id: z.string(),
        addr: z.string(),
        tls: z.boolean(),
        weight: z.number(),
      })),
    }),
  ),
});

/** The query of a read that may wait. */
export const waitQuery = z.strictObject({
  after: z.int().min(0).optional().describe("global version after which something is wanted"),
  wait: z.string().regex(/^\d{1,5}(ms|s)$/).optional().describe(
    "how long to wait for it, such as 30s; at most 30 s",
  ),
  max_staleness_ms: z.int().min(0).max(60_000).optional().describe(
    "maximum age of the answer, ms; 0 has the registry asked (default: any, which a header tells)",
  ),
});
