/** Documents as they are sent. */

/** The media type of every document. */
export const JSON_TYPE = "application/json; charset=utf-8";

/** Returns the text of a document, with a final newline for terminals. */
export function jsonText(document: unknown): string {
  return JSON.stringify(document) + "\n";
}
