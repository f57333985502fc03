/**
 * Tiles of the tree (C2SP tlog-tiles): 256 hashes of one level, or 256 entries, under paths that never
 * change what they name, so that anything may cache them.
 */
import { concatBytes } from "../../base/bytes.ts";
import type { MerkleTree } from "./merkle_tree.ts";

/** Hashes, or entries, of a full tile. */
export const TILE_WIDTH = 256;
const TILE_HEIGHT = 8;
/** Levels of tiles of the largest tree. */
const LEVELS_MAX = 6;
const PATH = /^tile\/(entries|[0-5])\/((?:x[0-9]{3}\/)*[0-9]{3})(?:\.p\/([1-9][0-9]{0,2}))?$/;

/** The name of a tile. */
export interface TileName {
  /** Level of a tile of hashes, or `entries`. */
  readonly level: number | "entries";
  readonly index: number;
  /** Hashes or entries in it: below 256 for a partial tile. */
  readonly width: number;
}

/** Formats the path of a tile. */
export function formatTilePath({ level, index, width }: TileName): string {
  const groups = [String(index % 1_000).padStart(3, "0")];
  for (let rest = Math.floor(index / 1_000); rest > 0; rest = Math.floor(rest / 1_000)) {
    groups.unshift(`x${String(rest % 1_000).padStart(3, "0")}`);
  }
  return `tile/${level}/${groups.join("/")}${width === TILE_WIDTH ? "" : `.p/${width}`}`;
}

/** Parses the path of a tile; undefined if it is not the only spelling of one. */
export function parseTilePath(path: string): TileName | undefined {
  const [, level, groups, partial] = PATH.exec(path) ?? [];
  if (level === undefined || groups === undefined) return undefined;
  const index = Number(groups.replaceAll(/[x/]/g, ""));
  const width = partial === undefined ? TILE_WIDTH : Number(partial);
  const name: TileName = {
    level: level === "entries" ? level : Number(level),
    index,
    width,
  };
  return formatTilePath(name) === path && width <= TILE_WIDTH ? name : undefined;
}

/**
 * Returns a tile; undefined if the tree does not have all of it.
 *
 * @param leafOf returns the bytes of the entry at an index.
 */
export function tileOf(
  tree: MerkleTree,
  { level, index, width }: TileName,
  leafOf: (index: number) => Uint8Array,
): Uint8Array | undefined {
  const first = index * TILE_WIDTH;
  if (level === "entries") {
    if (first + width > tree.size) return undefined;
    return concatBytes(Array.from({ length: width }, (_, at) => framed(leafOf(first + at))));
  }
  if (level >= LEVELS_MAX) return undefined;
  const hashes: Uint8Array[] = [];
  for (let at = first; at < first + width; at++) {
    const hash = tree.hashAt(level * TILE_HEIGHT, at);
    if (hash === undefined) return undefined;
    hashes.push(hash);
  }
  return concatBytes(hashes);
}

function framed(leaf: Uint8Array): Uint8Array {
  const frame = new Uint8Array(2 + leaf.length);
  new DataView(frame.buffer).setUint16(0, leaf.length);
  frame.set(leaf, 2);
  return frame;
}
