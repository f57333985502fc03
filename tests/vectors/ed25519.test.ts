/**
 * Published Ed25519 signatures through our verifiers: Wycheproof's verdicts, CCTV's edge cases by
 * their flags, noble as the oracle, and Node compared with Deno.
 */
import * as noble from "@noble/ed25519";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { runOnNode } from "../support/on_node.ts";
import { allOf, NODE, testWith, VECTORS } from "../support/requirement.ts";
import {
  acceptsByArithmetic,
  acceptsByRuntime,
  acceptsByWebCrypto,
  type SignatureCase,
  signatureCases,
  verdictLine,
} from "./ed25519_verdicts.ts";
import { tally, type Verdict } from "./published.ts";

const cases = VECTORS.found === undefined ? [] : signatureCases(VECTORS.found);

/** Tests that we decide differently from the set, by test id, with the reason. */
const WYCHEPROOF_EXCEPTIONS: Readonly<Record<number, string>> = {};

function verdicts(set: SignatureCase["set"]): Verdict[] {
  const found: Verdict[] = [];
  for (const one of cases.filter((each) => each.set === set)) {
    found.push({ id: one.id, expected: one.expected, accepted: acceptsByRuntime(one) });
  }
  return found;
}

const vectorTest = testWith(VECTORS);

vectorTest("verifyMessage agrees with all of Wycheproof's Ed25519", () => {
  const { text, exceptions } = tally(verdicts("wycheproof"));
  console.log(`wycheproof ed25519  ${text}`);
  assert.is(text, "valid: 88 accepted, 0 refused; invalid: 0 accepted, 63 refused");
  assert.equal(exceptions, Object.keys(WYCHEPROOF_EXCEPTIONS).map(Number));
});

vectorTest("verifyMessage accepts the same of CCTV's edge cases as every strict verifier", () => {
  // Accepted: A and R canonical, neither of small order, and the equation holds unmodified.
  // Components of small order that cancel out are accepted in signatures, and refused in keys when
  // they are enrolled.
  const found = verdicts("cctv");
  for (const one of cases.filter((each) => each.set === "cctv")) {
    const refused = one.flags.some((flag) =>
      /^(low_order|non_canonical)_[AR]$|^low_order_residue$/.test(flag)
    );
    const verdict = found.find(({ id }) => id === one.id);
    assert.is(verdict?.accepted, !refused, `${one.id} ${one.flags}`);
  }
  console.log(`cctv ed25519  ${tally(found).text}`);
  assert.is(tally(found).text, "open: 43 accepted, 871 refused");
});

vectorTest(
  "verifyAgreed and WebCrypto give the verdict of verifyMessage on every published signature",
  async () => {
    for (const one of cases) {
      const verdict = acceptsByRuntime(one);
      assert.is(acceptsByArithmetic(one), verdict, `${one.set} ${one.id}`);
      assert.is(await acceptsByWebCrypto(one), verdict, `${one.set} ${one.id}`);
    }
  },
);

vectorTest(
  "noble accepts everything that we accept, and cases that its cofactor hides",
  async () => {
    let beyond = 0;
    for (const one of cases) {
      const ours = acceptsByArithmetic(one);
      const theirs = await oracle(one);
      if (ours === theirs) continue;
      // Noble multiplies the equation by 8, so a small-order component disappears; and it checks the
      // order of A only. Only the owner of a key can create such a signature.
      assert.not(ours, `${one.set} ${one.id}`);
      assert.is(one.set, "cctv");
      const reason = one.flags.includes("low_order_residue") || one.flags.includes("low_order_R");
      assert.ok(reason, `${one.id} ${one.flags}`);
      beyond++;
    }
    assert.is(beyond, 169);
  },
);

vectorTest("without the strict check the libraries still disagree", async () => {
  // If a number changes, a library has changed: then check which parts of the strict check are
  // still needed.
  const edge = cases.filter(({ set }) => set === "cctv");
  const counts = { webCrypto: 0, nobleStrict: 0, nobleDefault: 0 };
  for (const { publicKey, message, signature } of edge) {
    const raw = new Uint8Array(publicKey);
    const key = await crypto.subtle.importKey("raw", raw, "Ed25519", false, ["verify"]);
    const signed = new Uint8Array(message);
    const accepts = await crypto.subtle.verify("Ed25519", key, new Uint8Array(signature), signed);
    if (accepts) counts.webCrypto++;
    if (await noble.verifyAsync(signature, message, publicKey, { zip215: false })) {
      counts.nobleStrict++;
    }
    if (await noble.verifyAsync(signature, message, publicKey)) counts.nobleDefault++;
  }
  assert.equal(counts, { webCrypto: 172, nobleStrict: 212, nobleDefault: 826 });
});

testWith(allOf(VECTORS, NODE))("Node gives the same verdicts as Deno", async (folder) => {
  const entry = new URL("./ed25519_verdicts.ts", import.meta.url);
  const printed = await runOnNode(entry, { VECTORS: folder });
  let ours = "";
  for (const one of cases) ours += `${await verdictLine(one)}\n`;
  assert.is(printed, ours);
});

async function oracle({ signature, message, publicKey }: SignatureCase): Promise<boolean> {
  try {
    return await noble.verifyAsync(signature, message, publicKey, { zip215: false });
  } catch {
    // It throws for invalid lengths, for which it has no verdict.
    return false;
  }
}

test.run();
