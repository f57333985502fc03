/** Proofs about the log of the governed plane (RFC 6962), and its tiles (C2SP tlog-tiles). */
import { RegistryError } from "../base/errors.ts";
import type { GovernedLog } from "../governance/governed_log.ts";
import { parseTilePath, TILE_WIDTH, tileOf } from "../governance/tree/tiles.ts";

/**
 * Returns the proof that an entry is in the log of a size.
 *
 * @param version global version of the entry.
 * @param size default: all entries.
 * @throws RegistryError `not_found` if the log is shorter, `invalid_argument` if the size is.
 */
export function inclusionProof(log: GovernedLog, version: number, size: number = log.version) {
  checkSizes(version, size, log.version);
  return {
    leafIndex: version - 1,
    treeSize: size,
    root: log.tree.root(size),
    leaf: log.at(version)!.leaf,
    proof: log.tree.inclusion(version - 1, size),
  };
}

/**
 * Returns the proof that the log of one size extends that of a smaller one.
 *
 * @param to default: all entries.
 * @throws RegistryError `not_found` if the log is shorter, `invalid_argument` if `from` is above `to`.
 */
export function consistencyProof(
  { tree, version }: GovernedLog,
  from: number,
  to: number = version,
) {
  checkSizes(from, to, version);
  return {
    from,
    to,
    fromRoot: tree.root(from),
    toRoot: tree.root(to),
    proof: tree.consistency(from, to),
  };
}

/**
 * Returns a tile by its path.
 *
 * @param path what follows `tile/`.
 * @param field the name under which the caller gave it.
 * @throws RegistryError `invalid_argument` if there is none of that name, `not_found` if the log does not
 * reach to its end.
 */
export function tileAt(log: GovernedLog, path: string, field: string): Uint8Array {
  const name = parseTilePath(`tile/${path}`);
  if (name === undefined) {
    throw new RegistryError(
      "invalid_argument",
      `There is no tile of the name ${
        JSON.stringify(path.slice(0, 80))
      }: C2SP tlog-tiles says how ` +
        "tiles are named; 0/000.p/1 is one",
      { field },
    );
  }
  const tile = tileOf(log.tree, name, (index) => log.at(index + 1)!.leaf);
  if (tile !== undefined) return tile;
  throw new RegistryError(
    "not_found",
    `The log must reach to the end of tile/${path}, which has ${name.width} of ${TILE_WIDTH} ` +
      "hashes or entries: it is shorter",
  );
}

/**
 * Checks the sizes of a proof, of which the log has at most `version`.
 *
 * @throws RegistryError `not_found`, `invalid_argument`.
 */
export function checkSizes(smaller: number, larger: number, version: number): void {
  if (larger > version || smaller > version) {
    const message = `The log has ${version} entries: there is none of ${Math.max(smaller, larger)}`;
    throw new RegistryError("not_found", message);
  }
  if (smaller <= larger) return;
  const message = `${smaller} must not be above ${larger}: exchange the two`;
  throw new RegistryError("invalid_argument", message);
}
