/** Every mutant can be planted: its anchors exist in the source. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { MUTANTS } from "../../../../sim/mutants/catalogue/mod.ts";
import { type Mutant, rewrite } from "../../../../sim/mutants/mutant.ts";

const ROOT = new URL("../../../../../", import.meta.url);
const read = (file: string) => Deno.readTextFileSync(new URL(file, ROOT));

test("mutants have names of their own", () => {
  const names = MUTANTS.map(({ name }) => name);
  assert.is(new Set(names).size, names.length);
  for (const name of names) assert.match(name, /^[a-z][a-z0-9_]+$/);
});

test("mutants change the files they name, and their anchors exist", () => {
  for (const mutant of MUTANTS) {
    for (const [file, text] of rewrite(mutant, read)) {
      assert.is.not(text, read(file), `${mutant.name} must change ${file}`);
    }
  }
});

const source = "const a = 1;\nconst b = 1;\n";
const mutantOf = (...edits: [string, string][]): Mutant => ({
  name: "sample",
  breaks: "Nothing",
  edits: edits.map(([anchor, replacement]) => ({ file: "a.ts", anchor, replacement })),
});

test("rewrite makes all edits of a file, one after another", () => {
  const files = rewrite(mutantOf(["a = 1", "a = 2"], ["b = 1", "b = $&"]), () => source);
  assert.equal([...files], [["a.ts", "const a = 2;\nconst b = $&;\n"]]);
});

test("rewrite refuses an anchor that is missing or ambiguous", () => {
  assert.throws(() => rewrite(mutantOf(["c = 1", ""]), () => source), /is gone in a\.ts/);
  assert.throws(() => rewrite(mutantOf(["= 1", ""]), () => source), /more than once in a\.ts/);
});

test.run();
