/** Texts as etcd and Consul take and return them: UTF-8 in base64. */
import { decodeBase64, encodeBase64 } from "../../base/base64.ts";
import { senseless, textOf } from "../foreign_answer.ts";

const utf8 = new TextEncoder();
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Encodes a text. */
export function encodeText(text: string): string {
  return encodeBase64(utf8.encode(text));
}

/** Decodes a text; throws `internal` for a value of another form. */
export function decodeText(value: unknown): string {
  return textOfBytes(decodeBase64(textOf(value, "base64")));
}

/** Returns the text of decoded base64, which is `undefined` if it was none; throws `internal` then. */
export function textOfBytes(bytes: Uint8Array | undefined): string {
  if (bytes === undefined) throw senseless("base64");
  try {
    return strictUtf8.decode(bytes);
  } catch {
    throw senseless("UTF-8");
  }
}
