/**
 * The verdicts of our verifiers on Wycheproof's JOSE, X25519 and HKDF tests, and on the JCS
 * examples, on the current runtime. Run as a program it prints the verdicts, so that runtimes can
 * be compared.
 *
 * JOSE has two verdicts. *Ours* is that of the production verifier, which accepts one form of one
 * algorithm. *Layers* is that of its two components, strict base64url and `jose` restricted to the
 * key's own algorithm: it shows that they judge correctly where ours is too narrow to tell.
 */
import { compactDecrypt, compactVerify, createLocalJWKSet, importJWK, type JWK } from "jose";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { decodeBase64url, encodeBase64url } from "../../src/base/base64url.ts";
import { openLabel } from "../../identity/tokens/sealed_label.ts";
import { canonicalJson, readCanonicalJson } from "../../src/signing/canonical_json.ts";
import { readTokenForm } from "../../identity/tokens/token_check.ts";
import { parsePublishedKeys } from "../../identity/tokens/token_keys.ts";
import { openingKeyOf, sharedSecret } from "../../identity/tokens/x25519.ts";
import { fromHex, toHex } from "../../src/base/bytes.ts";
import { RegistryError } from "../../src/base/errors.ts";
import { readVectors, type Verdict, type Wycheproof } from "./published.ts";

/** A verdict, with the reason if it is negative. */
export interface Reasoned extends Verdict {
  readonly why: string;
}

type Keys = JWK & { readonly keys?: readonly JWK[] };
type JoseTest = { jws?: unknown; jwe?: unknown; enc?: string; pt?: string };
type JoseFile = Wycheproof<{ private: Keys; public?: Keys }, JoseTest>;

const JOSE_FILES = {
  jws: "wycheproof/json_web_signature_test.json",
  jwk: "wycheproof/json_web_key_test.json",
  crypto: "wycheproof/json_web_crypto_test.json",
  jwe: "wycheproof/json_web_encryption_test.json",
} as const;

/** The JOSE sets. */
export type JoseSet = keyof typeof JOSE_FILES;

/** Returns the verdict on each test of a set by one of the two. */
export async function joseVerdicts(
  folder: string,
  set: JoseSet,
  by: "ours" | "layers",
): Promise<Reasoned[]> {
  const { testGroups }: JoseFile = JSON.parse(readVectors(folder, JOSE_FILES[set]));
  const found: Reasoned[] = [];
  for (const group of testGroups) {
    for (const test of group.tests) {
      const keys = test.jwe === undefined ? group.public ?? group.private : group.private;
      const why = by === "layers"
        ? await layersRefuse(test, keys)
        : set === "jwk"
        ? keysRefused(keys)
        : await oursRefuse(test);
      found.push({ id: test.tcId, expected: test.result, accepted: why === "", why });
    }
  }
  return found;
}

/** Returns the fault that our verifiers of tokens and of sealed labels report; "": none. */
async function oursRefuse({ jws, jwe }: JoseTest): Promise<string> {
  if (jws !== undefined) {
    const read = readTokenForm(typeof jws === "string" ? jws : JSON.stringify(jws));
    return typeof read === "string" ? read : "";
  }
  const key = await openingKeyOf(new Uint8Array(32).fill(1));
  const place = { recordId: new Uint8Array(16), label: "l" };
  const opened = await openLabel("sealed:" + asGeneralJwe(jwe), place, key);
  return "fault" in opened ? opened.fault : "";
}

/** Returns a compact JWE in the general form, as close to ours as its parts allow. */
function asGeneralJwe(jwe: unknown): string {
  if (typeof jwe !== "string") return JSON.stringify(jwe);
  const [header = "", encrypted_key = "", iv = "", ciphertext = "", tag = ""] = jwe.split(".");
  const kid = encodeBase64url(new Uint8Array(32));
  const recipient = { encrypted_key, header: { alg: "ECDH-ES+A256KW", kid } };
  const aad = encodeBase64url(new Uint8Array(1));
  return canonicalJson({ aad, ciphertext, iv, protected: header, recipients: [recipient], tag });
}

/** Returns the fault that our reader of published keys reports for a set. */
function keysRefused(keys: Keys): string {
  try {
    parsePublishedKeys(canonicalJson(keys.keys === undefined ? { keys: [keys] } : keys));
    return "";
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    return error.message.replace(/^.* as /, "");
  }
}

async function layersRefuse(test: JoseTest, keys: Keys): Promise<string> {
  const text = test.jws ?? test.jwe;
  if (typeof text !== "string") return "not in compact form";
  if (text.split(".").some((part) => decodeBase64url(part) === undefined)) return "not_base64url";
  try {
    if (test.jws !== undefined) {
      if (keys.keys !== undefined) {
        await compactVerify(text, createLocalJWKSet({ keys: [...keys.keys] }));
      } else await compactVerify(text, await keyOf(keys), { algorithms: [keys.alg ?? ""] });
      return "";
    }
    const { plaintext } = await compactDecrypt(text, await keyOf(keys), {
      keyManagementAlgorithms: [keys.alg ?? ""],
      ...test.enc === undefined ? {} : { contentEncryptionAlgorithms: [test.enc] },
    });
    const same = test.pt === undefined || toHex(plaintext) === test.pt;
    return same ? "" : "another plaintext";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function keyOf(keys: Keys) {
  if (keys.keys !== undefined) throw new Error("a set of keys where one is needed");
  return await importJWK(keys, keys.alg ?? "");
}

/** Returns the result of each X25519 test, as bytes or as JWK: the secret, or a refusal. */
export async function x25519Verdicts(folder: string, form: "bytes" | "jwk"): Promise<Reasoned[]> {
  const name = form === "bytes" ? "x25519_test" : "x25519_jwk_test";
  type Key = string | { kty?: string; crv?: string; x?: string; d?: string };
  const { testGroups }: Wycheproof<unknown, { public: Key; private: Key; shared: string }> = JSON
    .parse(readVectors(folder, `wycheproof/${name}.json`));
  const found: Reasoned[] = [];
  for (const test of testGroups.flatMap(({ tests }) => tests)) {
    let why = "";
    try {
      const secret = bytesOfKey(test.private, "d");
      const key = await openingKeyOf(secret);
      const shared = toHex(await sharedSecret(key, bytesOfKey(test.public, "x")));
      if (shared !== test.shared) why = `another secret: ${shared}`;
    } catch (error) {
      why = error instanceof Error ? error.message : String(error);
    }
    const { tcId: id, result: expected, flags = [] } = test;
    found.push({ id, expected, accepted: why === "", why: why && `${flags.join()} ${why}` });
  }
  return found;
}

function bytesOfKey(
  key: string | { kty?: string; crv?: string; x?: string; d?: string },
  member: "x" | "d",
): Uint8Array {
  const named = typeof key === "string" || key.kty === "OKP" && key.crv === "X25519";
  const bytes = typeof key === "string" ? fromHex(key) : decodeBase64url(key[member] ?? "");
  if (!named || bytes === undefined) throw new Error("no X25519 key");
  return bytes;
}

/**
 * Returns the result of each HKDF-SHA-256 test by the runtime's WebCrypto, with which all of our
 * code derives keys.
 */
export async function hkdfVerdicts(folder: string): Promise<Reasoned[]> {
  type Test = { ikm: string; salt: string; info: string; size: number; okm: string };
  const { testGroups }: Wycheproof<unknown, Test> = JSON.parse(
    readVectors(folder, "wycheproof/hkdf_sha256_test.json"),
  );
  const bytes = (hex: string) => new Uint8Array(fromHex(hex)!);
  const found: Reasoned[] = [];
  for (const test of testGroups.flatMap(({ tests }) => tests)) {
    let why = "";
    try {
      const key = await crypto.subtle.importKey("raw", bytes(test.ikm), "HKDF", false, [
        "deriveBits",
      ]);
      const derived = await crypto.subtle.deriveBits(
        { name: "HKDF", hash: "SHA-256", salt: bytes(test.salt), info: bytes(test.info) },
        key,
        test.size * 8,
      );
      if (toHex(new Uint8Array(derived)) !== test.okm) why = "other bytes";
    } catch (error) {
      why = error instanceof Error ? error.name : String(error);
    }
    found.push({ id: test.tcId, expected: test.result, accepted: why === "", why });
  }
  return found;
}

/** Names of the JCS examples. */
export const JCS_EXAMPLES = [
  "arrays",
  "french",
  "structures",
  "unicode",
  "values",
  "weird",
] as const;

/**
 * Reports whether the example's canonical form is the published one, and is the only one accepted.
 */
export function jcsAgrees(folder: string, name: string): boolean {
  const input = readVectors(folder, `jcs/input/${name}.json`);
  const output = readVectors(folder, `jcs/output/${name}.json`);
  const read = readCanonicalJson(output);
  return canonicalJson(JSON.parse(input)) === output && typeof read === "object" &&
    (input === output || readCanonicalJson(input) === "not_canonical");
}

/** Returns all verdicts as text, without the texts of a runtime's errors. */
export async function allVerdicts(folder: string): Promise<string> {
  const parts: [string, readonly Verdict[]][] = [];
  for (const set of Object.keys(JOSE_FILES) as JoseSet[]) {
    for (const by of ["ours", "layers"] as const) {
      parts.push([`${set} ${by}`, await joseVerdicts(folder, set, by)]);
    }
  }
  parts.push(["x25519", await x25519Verdicts(folder, "bytes")]);
  parts.push(["x25519 jwk", await x25519Verdicts(folder, "jwk")]);
  parts.push(["hkdf", await hkdfVerdicts(folder)]);
  const lines = parts.flatMap(([set, verdicts]) =>
    verdicts.map(({ id, accepted }) => `${set} ${id} ${accepted}\n`)
  );
  for (const name of JCS_EXAMPLES) lines.push(`jcs ${name} ${jcsAgrees(folder, name)}\n`);
  return lines.join("");
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  process.stdout.write(await allVerdicts(process.env.VECTORS ?? ""));
}
