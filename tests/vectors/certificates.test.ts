/** Frozen certificates, and verdicts on chains, on Deno and on Node. */
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { readCertificate } from "../../identity/pki/certificate_reader.ts";
import { isRefusal } from "../../identity/pki/certificate_refusal.ts";
import { decodeBase64url } from "../../src/base/base64url.ts";
import { runOnNode } from "../support/on_node.ts";
import { NODE, testWith } from "../support/requirement.ts";
import { chainVerdicts, readVectors, report, written } from "./certificate_verdicts.ts";

const folder = fileURLToPath(new URL(".", import.meta.url));
const vectors = readVectors(folder);

test("each frozen chain gets its frozen verdict", async () => {
  const verdicts = await chainVerdicts(vectors);
  for (const [index, { name, verdict }] of vectors.cases.entries()) {
    assert.is(verdicts[index], verdict, name);
  }
  const believed = verdicts.filter((verdict) => verdict === "").length;
  console.log(`chains  ${believed} believed, ${verdicts.length - believed} refused`);
  assert.is(believed, 8);
  assert.is(verdicts.length, 36);
});

test("leaf and request are written as they were frozen", async () => {
  assert.equal(await written(vectors), {
    leaf: vectors.leaf.der,
    request: vectors.request.der,
  });
});

test("the frozen leaf of former versions says the same", () => {
  const [former, now] = [vectors.leaf.formerDer, vectors.leaf.der].map((text) =>
    readCertificate(decodeBase64url(text)!)
  );
  if (isRefusal(former!) || isRefusal(now!)) throw new Error("A frozen leaf is refused");
  assert.equal(former!.extensions.registryIdentity, vectors.leaf.registryIdentity);
  assert.equal(now!.extensions.registryIdentity, vectors.leaf.registryIdentity);
});

testWith(NODE)("Node reads, writes and judges as Deno does", async () => {
  const entry = new URL("./certificate_verdicts.ts", import.meta.url);
  const printed = await runOnNode(entry, { CERTIFICATE_VECTORS: folder });
  const ours = await report(vectors);
  assert.match(ours, /\nbundle: 5\n$/);
  assert.is(printed, ours);
});

test.run();
