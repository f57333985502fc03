/** Checkpoints as signed notes: one spelling, one origin, the right key. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { encodeBase64 } from "../../../../src/base/base64.ts";
import {
  checkpointText,
  isCheckpointSignedBy,
  readCheckpoint,
  signedNote,
} from "../../../../src/governance/tree/checkpoint.ts";
import { CHECKPOINT_KEY, TestKey } from "../../../support/governance.ts";

const ROOT = new Uint8Array(32).fill(7);
const POINT = { origin: "crs-governance/00", size: 9, root: ROOT, unixS: 1_800_000_000 };

function noteOf(text: string, key = CHECKPOINT_KEY, name = POINT.origin): string {
  const signature = key.sign(new TextEncoder().encode(text));
  return signedNote(text, { name, publicKey: key.publicKey, signature });
}

test("readCheckpoint reads what signedNote wrote, and only its key signed it", () => {
  const text = checkpointText(POINT);
  assert.is(text, `crs-governance/00\n9\n${encodeBase64(ROOT)}\ntime 1800000000\n`);
  const read = readCheckpoint(noteOf(text))!;
  const { origin, size, root, unixS } = read;
  assert.equal({ origin, size, root, unixS }, POINT);
  assert.is(isCheckpointSignedBy(read, CHECKPOINT_KEY.publicKey), true);
  assert.is(isCheckpointSignedBy(read, new TestKey(9).publicKey), false);
  const other = readCheckpoint(noteOf(text, CHECKPOINT_KEY, "another"))!;
  assert.is(isCheckpointSignedBy(other, CHECKPOINT_KEY.publicKey), false);
});

test("isCheckpointSignedBy finds any change of the text", () => {
  const note = noteOf(checkpointText(POINT));
  for (const [from, to] of [["\n9\n", "\n8\n"], ["time 18", "time 19"], ["/00", "/01"]] as const) {
    const read = readCheckpoint(note.replace(from, to));
    assert.is(read !== undefined && isCheckpointSignedBy(read, CHECKPOINT_KEY.publicKey), false);
  }
});

test("readCheckpoint reads signatures and extensions that it does not know", () => {
  const text = `${checkpointText(POINT)}extension\n`;
  const witness = `— witness ${encodeBase64(new Uint8Array(76))}\n`;
  const read = readCheckpoint(noteOf(text) + witness)!;
  assert.is(read.signatures.length, 2);
  assert.is(isCheckpointSignedBy(read, CHECKPOINT_KEY.publicKey), true);
});

test("readCheckpoint refuses what is none", () => {
  const note = noteOf(checkpointText(POINT));
  const wrong = [
    "",
    note.slice(0, -1),
    note.replace("\n\n", "\n"),
    note.replace("\n9\n", "\n09\n"),
    note.replace("\n9\n", "\n-1\n"),
    note.replace("\n9\n", "\n99999999999\n"),
    note.replace("time ", "date "),
    note.replace("time 1800000000\n", "time 1800000000\ntime 1800000001\n"),
    note.replace(encodeBase64(ROOT), encodeBase64(ROOT.subarray(1))),
    note.replace("— ", "- "),
    note + "— x\n",
    note + "x".repeat(5_000),
  ];
  for (const text of wrong) assert.is(readCheckpoint(text), undefined, text);
});

test.run();
