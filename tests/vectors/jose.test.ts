/**
 * Published JOSE, X25519, HKDF and JCS tests through our verifiers, counting accepts and refusals
 * separately and listing every test with a verdict other than published by its id and reason; RFC
 * 8037's EdDSA signature, which Wycheproof's JOSE lacks; our own frozen tokens; and Node compared
 * with Deno.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { decodeBase64url } from "../../src/base/base64url.ts";
import { verifyAgreed, verifyMessage } from "../../identity/pki/ed25519.ts";
import { readTokenForm } from "../../identity/tokens/token_check.ts";
import { runOnNode } from "../support/on_node.ts";
import { allOf, NODE, testWith, VECTORS } from "../support/requirement.ts";
import {
  allVerdicts,
  hkdfVerdicts,
  JCS_EXAMPLES,
  jcsAgrees,
  type JoseSet,
  joseVerdicts,
  type Reasoned,
  x25519Verdicts,
} from "./jose_verdicts.ts";
import { tally } from "./published.ts";

/** Ids by reason: `refused` are published as valid, `accepted` as invalid. */
interface Exceptions {
  readonly tally: string;
  readonly refused: Readonly<Record<string, readonly number[]>>;
  readonly accepted?: Readonly<Record<string, readonly number[]>>;
}

const range = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);

/**
 * Our verifiers accept only EdDSA tokens, Ed25519 keys and X25519 labels, of which Wycheproof has
 * none.
 */
const OURS: Readonly<Record<JoseSet, Exceptions>> = {
  jws: {
    tally: "valid: 0 accepted, 46 refused; invalid: 0 accepted, 355 refused",
    refused: {
      "the payload is no JSON": [
        ...[1, 18, 33],
        ...range(259, 275),
        ...[320, 321, 322, 323, 325, 326, 327, 328],
        ...range(345, 352),
        378,
      ],
      "the header is not alg EdDSA, kid, typ alone": [287, 288],
      "the header is no canonical JSON": [357, 358, 359, 373, 376, 377],
      "a character beyond base64url, which the set wants passed over": [372],
    },
  },
  jwk: {
    tally: "valid: 0 accepted, 5 refused; invalid: 0 accepted, 21 refused",
    refused: { "no Ed25519 key": [2, 5, 13, 14, 15] },
  },
  crypto: {
    tally: "valid: 0 accepted, 6 refused; invalid: 0 accepted, 77 refused",
    refused: {
      "a JWS whose payload is no JSON": [1, 18, 33, 48],
      "a JWE without an ephemeral X25519 key": [50, 67],
    },
  },
  jwe: {
    tally: "valid: 0 accepted, 65 refused; invalid: 0 accepted, 74 refused",
    refused: {
      "an initialization vector or wrapped key of another length": [
        ...[1, 30, 31, 32, 33, 35, 55, 56, 57, 59, 61, 67, 68, 75, 79, 80, 81, 85, 86, 87],
        ...[91, 92, 93, 103, 104, 105, 128, 131, 133],
      ],
      "the protected header is not enc A256GCM and epk alone": [
        ...[23, 28, 29, 34, 52, 53, 54, 58, 60, 62, 66, 69, 70, 71, 72, 73, 74, 76, 77, 78],
        ...[82, 83, 84, 88, 89, 90, 100, 101, 102, 112, 121, 129, 130, 132, 134, 135],
      ],
    },
  },
};

/** Strict base64url, then jose restricted to the key's algorithm. */
const LAYERS: Readonly<Record<JoseSet, Exceptions>> = {
  jws: {
    tally: "valid: 40 accepted, 6 refused; invalid: 2 accepted, 353 refused",
    refused: {
      "the key is for PS256 and the signature PS384": [346, 350],
      "the key names ES521, which is no algorithm": [347, 351],
      "a character beyond base64url, which the set wants passed over": [372, 373],
    },
    accepted: {
      "named for padding that is not there: the text is that of a valid test": [367, 370],
    },
  },
  jwk: {
    tally: "valid: 1 accepted, 4 refused; invalid: 1 accepted, 20 refused",
    refused: { "jose takes no symmetric keys from a set": [2, 13, 14, 15] },
    accepted: { "a weak RSA key (ROCA): jose does not look, and we take no RSA": [7] },
  },
  crypto: {
    tally: "valid: 5 accepted, 1 refused; invalid: 1 accepted, 76 refused",
    refused: { "jose takes no symmetric keys from a set": [48] },
    accepted: { "a weak RSA key (ROCA): jose does not look, and we take no RSA": [46] },
  },
  jwe: {
    tally: "valid: 56 accepted, 9 refused; invalid: 0 accepted, 74 refused",
    refused: {
      "RSA1_5, which jose does not have": [...range(100, 105), 112, 128],
      "the key names A128GCM as its alg, which is an enc": [132],
    },
  },
};

/** X25519: inputs that RFC 7748 leaves open and we refuse. */
const X25519_REFUSED: Readonly<Record<string, readonly number[]>> = {
  small_order: [32, 33, 63, 64, 65, 69, 70, 71, 72, 73, 117, 118, 154, 165, 166],
  // Including those of small order in other encodings: 66 to 68, and 74 to 86.
  not_canonical: [66, 67, 68, ...range(74, 99)],
};

function check(name: string, verdicts: readonly Reasoned[], expected: Exceptions): void {
  const { text, exceptions } = tally(verdicts);
  console.log(`${name}  ${text}`);
  assert.is(text, expected.tally);
  const listed = [expected.refused, expected.accepted ?? {}].flatMap((of) => Object.values(of))
    .flat();
  const ascending = (left: number, right: number) => left - right;
  assert.equal([...exceptions].sort(ascending), [...listed].sort(ascending));
  for (const id of Object.values(expected.refused).flat()) {
    assert.is(verdicts.find((one) => one.id === id)?.expected, "valid", `${id}`);
  }
}

const vectorTest = testWith(VECTORS);

for (const set of ["jws", "jwk", "crypto", "jwe"] as const) {
  vectorTest(
    `our verifiers take no ${set} of Wycheproof, for each test with its reason`,
    async (folder) => {
      check(`${set} ours`, await joseVerdicts(folder, set, "ours"), OURS[set]);
    },
  );

  vectorTest(
    `strict base64url and jose judge ${set} of Wycheproof as published`,
    async (folder) => {
      check(`${set} layers`, await joseVerdicts(folder, set, "layers"), LAYERS[set]);
    },
  );
}

for (const form of ["bytes", "jwk"] as const) {
  vectorTest(
    `sharedSecret agrees with Wycheproof's X25519 as ${form}, but for unsound keys`,
    async (folder) => {
      const verdicts = await x25519Verdicts(folder, form);
      const { text } = tally(verdicts);
      console.log(`x25519 ${form}  ${text}`);
      const invalid = form === "jwk" ? "invalid: 0 accepted, 13 refused; " : "";
      assert.is(
        text,
        `valid: 264 accepted, 0 refused; ${invalid}acceptable: 210 accepted, 44 refused`,
      );
      for (const fault of ["small_order", "not_canonical"]) {
        const refused = verdicts.filter(({ why }) => why.endsWith(fault)).map(({ id }) => id);
        assert.equal(refused, X25519_REFUSED[fault]);
      }
      // Including all with a secret of zero.
      const zero = verdicts.filter(({ why }) => why.includes("ZeroSharedSecret")).length;
      assert.is(zero, 31);
    },
  );
}

vectorTest("the runtime's HKDF-SHA-256 agrees with all of Wycheproof's", async (folder) => {
  const { text, exceptions } = tally(await hkdfVerdicts(folder));
  assert.is(text, "valid: 83 accepted, 0 refused; invalid: 0 accepted, 3 refused");
  assert.equal(exceptions, []);
});

for (const name of JCS_EXAMPLES) {
  vectorTest(
    `canonicalJson writes, and readCanonicalJson takes, the JCS example ${name}`,
    (folder) => {
      assert.ok(jcsAgrees(folder, name));
    },
  );
}

testWith(allOf(VECTORS, NODE))("Node gives the same verdicts as Deno", async (folder) => {
  const entry = new URL("./jose_verdicts.ts", import.meta.url);
  const printed = await runOnNode(entry, { VECTORS: folder });
  const ours = (await allVerdicts(folder)).split("\n");
  const theirs = printed.split("\n");
  assert.is(theirs.length, ours.length);
  const different = theirs.filter((line, index) => line !== ours[index]);
  // An RSA key with the exponent 1, which OpenSSL accepts: irrelevant because RSA is never
  // accepted.
  assert.equal(different.filter((line) => !line.startsWith("jwk layers 9 ")), []);
});

// RFC 8037 appendix A.4 and A.5.
const RFC_KEY = decodeBase64url("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")!;
const RFC_INPUT = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
const RFC_SIGNATURE =
  "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

test("verifyMessage takes the JWS of RFC 8037, and none of its bits changed", () => {
  const input = new TextEncoder().encode(RFC_INPUT);
  const signature = decodeBase64url(RFC_SIGNATURE)!;
  assert.ok(verifyMessage(RFC_KEY, input, signature));
  assert.ok(verifyAgreed(RFC_KEY, input, signature));
  for (
    const [bytes, verify] of [
      [signature, (changed: Uint8Array) => verifyMessage(RFC_KEY, input, changed)],
      [input, (changed: Uint8Array) => verifyMessage(RFC_KEY, changed, signature)],
    ] as const
  ) {
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const changed = new Uint8Array(bytes);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      assert.not(verify(changed), `bit ${bit}`);
    }
  }
});

test("readTokenForm takes the JWS of RFC 8037 for no token", () => {
  assert.is(readTokenForm(`${RFC_INPUT}.${RFC_SIGNATURE}`), "not_json");
});

test.run();
