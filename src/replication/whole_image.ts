/** Images as one piece of memory, for what cannot take them chunk by chunk. */
import type { ImageChunks, ImageWork } from "./state_machine.ts";

/** Collects the chunks of an image, step by step. */
export function* wholeImage(chunks: ImageChunks): ImageWork<Uint8Array> {
  const copies: Uint8Array[] = [];
  let bytes = 0;
  for (const chunk of chunks) {
    copies.push(chunk.slice());
    bytes += chunk.length;
    yield chunk.length;
  }
  const [first] = copies;
  if (copies.length === 1) return first!;
  const image = new Uint8Array(bytes);
  let at = 0;
  for (const copy of copies) {
    image.set(copy, at);
    at += copy.length;
    yield copy.length;
  }
  return image;
}
