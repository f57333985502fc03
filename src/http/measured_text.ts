/**
 * Text whose length in bytes is known, so that it is sent in one piece with its head: bytes would be a
 * second piece, and text of unknown length is measured for each answer.
 */
export class MeasuredText {
  readonly text: string;
  /** Length as UTF-8. */
  readonly byteLength: number;

  constructor(text: string) {
    this.text = text;
    this.byteLength = encoder.encode(text).length;
  }
}

const encoder = new TextEncoder();
