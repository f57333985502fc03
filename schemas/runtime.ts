/**
 * The runtime of the generated codecs: bounds-checked readers and writers of Cap'n Proto messages
 * over plain bytes, and the stream framing.
 *
 * All input bytes are untrusted until checked: pointers must stay inside their segment, list
 * lengths are bounded before they are used, text must be UTF-8, and the work that a message can
 * cause is bounded by a constant times its size. Violations throw a RegistryError `malformed` or
 * `too_large`. Source: https://capnproto.org/encoding.html
 */
export { EnvelopeCodec, StructCodec, type StructLayout } from "./runtime/codec.ts";
export { Cursor, ElementCursor, traversalStepsMax, WORD_BYTES } from "./runtime/cursor.ts";
export { FieldError } from "./runtime/field_error.ts";
export {
  FRAME_INCOMPLETE,
  type FrameLimits,
  frameSegments,
  frameTableBytes,
  inspectFrame,
  joinSegments,
} from "./runtime/frame.ts";
export { DataList, ScalarList, StructList, TextList } from "./runtime/list.ts";
export {
  FLOAT32,
  FLOAT64,
  INT16,
  INT32,
  INT64,
  INT8,
  UINT16,
  UINT32,
  UINT64,
  UINT8,
} from "./runtime/scalar.ts";
export { StructView } from "./runtime/view.ts";
export {
  type ByteSource,
  type ByteSpan,
  FrameWriter,
  type Input,
  type Put,
} from "./runtime/writer.ts";
