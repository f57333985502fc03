/**
 * The root key of capabilities of development nodes, created on the first start in a private folder:
 * the one that the nodes of a development cluster share, or that of a node alone. So every node
 * verifies what another one minted, as in production.
 */
import { assert } from "../../src/base/assert.ts";
import { toHex } from "../../src/base/bytes.ts";
import { RegistryError } from "../../src/base/errors.ts";
import type { Entropy } from "../../src/base/world.ts";
import { createRootKeyText, type RootKey, rootKeyOfText } from "../capabilities/root_key.ts";
import {
  createFileOnce,
  ensurePrivateFolder,
  PRIVATE_FILE_MODE,
  readPrivateFile,
} from "../files/private_file.ts";

const FILE = "capability.key";

/**
 * Opens the key of a folder, or creates it. Nodes that start at the same time get the same one.
 *
 * @throws RegistryError `corrupt` if the file is damaged; `storage_unavailable`.
 */
export function openDevelopmentCapabilityKey(
  { folder, entropy }: { readonly folder: string; readonly entropy: Entropy },
): RootKey {
  ensurePrivateFolder(folder);
  const path = `${folder}/${FILE}`;
  let text = readPrivateFile(path);
  if (text === undefined) {
    const tag = new Uint8Array(8);
    entropy.fill(tag);
    createFileOnce(path, createRootKeyText(entropy), PRIVATE_FILE_MODE, toHex(tag));
    text = readPrivateFile(path);
    assert(text !== undefined, "A file that was created can be read");
  }
  const key = rootKeyOfText(text);
  if (key !== undefined) return key;
  throw new RegistryError(
    "corrupt",
    `Cannot use ${path} as it holds no root key of capabilities: remove it with all nodes stopped, to ` +
      "have a new one made",
    { field: path },
  );
}
