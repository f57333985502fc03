/** The registry as a caller of a face may use it. */
import type { DelegatedClient, RegistryCalls } from "../client/types.ts";

/** A client that acts for a caller. Without `evidence` there is nothing that the caller has to prove. */
export type CallerClient = RegistryCalls & Partial<Pick<DelegatedClient, "evidence">>;
