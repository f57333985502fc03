/** The check of a region's trust bundle when an operator adds it, before anybody depends on it. */
import { RegistryError } from "../base/errors.ts";
import { certificatesOf } from "../../identity/pki/certificate.ts";
import { openRegionBundle } from "./region_trust.ts";

/**
 * Returns a bundle as it is stored: without the end of the last line, which a file has and which the
 * signature does not cover.
 *
 * @param text a trust bundle, certificates of CAs in PEM (development regions), or empty: none.
 * @throws RegistryError `invalid_argument` if it is neither.
 */
export async function checkedBundle(text: string, nowMs: number): Promise<string> {
  const bundle = text.trim();
  if (bundle === "" || certificatesOf(bundle).length > 0) return bundle;
  if (!bundle.startsWith("{")) {
    throw invalid("bundle must be a trust bundle (crs identity bundle), or the PEM of a CA");
  }
  try {
    await openRegionBundle(bundle, nowMs);
    return bundle;
  } catch (cause) {
    if (!(cause instanceof RegistryError)) throw cause;
    throw invalid(cause.message, cause);
  }
}

function invalid(message: string, cause?: RegistryError): RegistryError {
  return new RegistryError("invalid_argument", message, { field: "bundle" }, cause);
}
