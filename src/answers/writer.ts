/**
 * Looks up the certificate that wrote a record: the lineage stored in the record, and its subject.
 */
import { RegistryError } from "../base/errors.ts";
import type { LineageInfo, RegistryCalls } from "../client/mod.ts";

/** The last writer of a record. */
export interface Writer extends Pick<LineageInfo, "subject" | "stopped"> {
  readonly lineage: number;
}

/** The lineage of the development identity. */
const DEVELOPMENT = 1;

/** Returns the writer of a record; `undefined` if there is none or this client may not ask. */
export async function writerOf(
  client: RegistryCalls,
  lineage: number,
): Promise<Writer | undefined> {
  if (lineage === 0) return undefined;
  if (lineage === DEVELOPMENT) {
    return { lineage, subject: "the development identity", stopped: "" };
  }
  try {
    const { subject, stopped } = await client.identities.lineage(lineage);
    return { lineage, subject, stopped };
  } catch (error) {
    // An agent may read its own record, but not look up other identities.
    if (error instanceof RegistryError && error.code === "permission_denied") return undefined;
    if (error instanceof RegistryError && error.code === "not_found") {
      return { lineage, subject: "a forgotten identity", stopped: "" };
    }
    throw error;
  }
}
