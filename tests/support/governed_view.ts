/** A view of a governed plane in memory, and those who may read it. */
import { RegistryError } from "../../src/base/errors.ts";
import type { GovernedView } from "../../src/client/mod.ts";
import type { GovernedReader } from "../../src/faces/governed_source.ts";
import type { GovernanceHarness } from "./governance.ts";

/** The age of each view, ms. */
export const VIEW_AGE_MS = 7;

/** Returns who may read a plane, which the test changes. */
export function readerOf(harness: GovernanceHarness): GovernedReader {
  const view: Partial<GovernedView> = {
    get plane() {
      return harness.plane;
    },
    get version() {
      return harness.plane.log.version;
    },
    ageMs: () => VIEW_AGE_MS,
    follow: () => () => {},
    refresh: () => Promise.resolve(),
    close: () => {},
  };
  const status = () => Promise.reject(new Error("nobody is asked about"));
  return { governed: { view: () => Promise.resolve(view as GovernedView), status } };
}

/** A reader that may not read. */
export const REFUSED_READER: GovernedReader = {
  governed: {
    view: () => Promise.reject(new RegistryError("permission_denied", "It may not read")),
    status: () => Promise.reject(new RegistryError("permission_denied", "It may not read")),
  },
};
