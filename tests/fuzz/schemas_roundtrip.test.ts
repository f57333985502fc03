/** For every struct: decode ∘ encode is the identity, framed or not, and views agree with plain. */
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { FrameWriter, inspectFrame, joinSegments } from "../../schemas/runtime.ts";
import { samples } from "../support/schema_samples.ts";
import { isEnvelope, structValues, testEachStruct } from "../support/schemas.ts";

const PARAMETERS = { seed: 77, numRuns: 60 } as const;

test("codec encode gives back the bytes of each sample that it decoded", () => {
  for (const { codec, segment } of samples(2)) {
    // The body of an envelope is not part of its plain form.
    if (isEnvelope(codec)) continue;
    assert.equal(codec.encode(codec.decode(segment)), segment);
  }
});

testEachStruct("each struct of the schemas round-trips", (struct, codec) => {
  test(`${struct.name} codec decodes what it encoded, as segment and as frame`, () => {
    const out = new FrameWriter({ bytesMax: 1 << 20 });
    fc.assert(
      fc.property(structValues(struct, { full: false }), (value) => {
        const segment = codec.encode(value);
        assert.equal(codec.decode(segment), value);
        out.reset();
        codec.write(out, value);
        const size = inspectFrame(out.view, 0, out.length, {
          frameBytesMax: out.length,
          segmentsMax: 1,
        });
        assert.is(size, out.length);
        assert.equal(out.written.subarray(8), segment);
        assert.equal(joinSegments(out.bytes, 0, out.length), segment);
      }),
      PARAMETERS,
    );
  });
});

test.run();
