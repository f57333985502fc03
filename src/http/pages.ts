/** Lists that are read to their end. */
import type { Page } from "../client/mod.ts";
import { RegistryError } from "../base/errors.ts";

/**
 * Iterates over all items of a list.
 *
 * @param max items that it may have.
 * @throws RegistryError `too_large` if it has more.
 */
export async function* pagesOf<Item>(
  fetch: (options: { readonly cursor?: Uint8Array }) => Promise<Page<Item>>,
  max: number,
): AsyncGenerator<Item> {
  let count = 0;
  let cursor: Uint8Array | undefined;
  do {
    const page: Page<Item> = await fetch(cursor === undefined ? {} : { cursor });
    count += page.items.length;
    if (count > max) throw new RegistryError("too_large", `A list may have ${max} items here`);
    yield* page.items;
    cursor = page.nextCursor;
  } while (cursor !== undefined);
}
