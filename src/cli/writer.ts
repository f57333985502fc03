/** Whose certificate wrote a record: the lineage that stands in it, and what is known of that. */
import { RegistryError } from "../base/errors.ts";
import type { Client, LineageInfo } from "../client/mod.ts";

/** Who wrote a record last. */
export interface Writer extends Pick<LineageInfo, "subject" | "stopped"> {
  readonly lineage: number;
}

/** The lineage of the development identity. */
const DEVELOPMENT = 1;

/** Asks who the writer of a record is; `undefined` where nobody may say. */
export async function writerOf(client: Client, lineage: number): Promise<Writer | undefined> {
  if (lineage === 0) return undefined;
  if (lineage === DEVELOPMENT) {
    return { lineage, subject: "the development identity", stopped: "" };
  }
  try {
    const { subject, stopped } = await client.identities.lineage(lineage);
    return { lineage, subject, stopped };
  } catch (error) {
    // An agent may read its own record, and yet not ask who others are.
    if (error instanceof RegistryError && error.code === "permission_denied") return undefined;
    if (error instanceof RegistryError && error.code === "not_found") {
      return { lineage, subject: "an identity that is forgotten", stopped: "" };
    }
    throw error;
  }
}
