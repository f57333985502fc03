/**
 * The verdicts of our Ed25519 verifiers on every published test, on the current runtime:
 * Wycheproof's 151 and CCTV's 914. Run as a program it prints the verdicts, so that runtimes can be
 * compared.
 */
import process from "node:process";
import { pathToFileURL } from "node:url";
import {
  signatureFault,
  verifyAgreed,
  verifyingKey,
  verifyMessage,
} from "../../identity/pki/ed25519.ts";
import { fromHex } from "../../src/base/bytes.ts";
import { readVectors, vectorsFolder, type Wycheproof } from "./published.ts";

/** One published signature. */
export interface SignatureCase {
  readonly set: "wycheproof" | "cctv";
  readonly id: number;
  /** `valid` or `invalid` by Wycheproof; `open` in CCTV, which has no verdicts. */
  readonly expected: string;
  readonly flags: readonly string[];
  readonly publicKey: Uint8Array;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

/** Returns all published signatures. */
export function signatureCases(folder: string): SignatureCase[] {
  const wycheproof: Wycheproof<
    { publicKey: { pk: string } },
    { msg: string; sig: string }
  > = JSON.parse(readVectors(folder, "wycheproof/ed25519_test.json"));
  const cctv: { number: number; key: string; sig: string; msg: string; flags: string[] | null }[] =
    JSON.parse(readVectors(folder, "cctv/ed25519vectors.json"));
  return [
    ...wycheproof.testGroups.flatMap(({ publicKey, tests }) =>
      tests.map((one): SignatureCase => ({
        set: "wycheproof",
        id: one.tcId,
        expected: one.result,
        flags: one.flags ?? [],
        publicKey: hex(publicKey.pk),
        message: hex(one.msg),
        signature: hex(one.sig),
      }))
    ),
    ...cctv.map((one): SignatureCase => ({
      set: "cctv",
      id: one.number,
      expected: "open",
      flags: one.flags ?? [],
      publicKey: hex(one.key),
      message: new TextEncoder().encode(one.msg),
      signature: hex(one.sig),
    })),
  ];
}

/** Reports whether the strict check followed by the runtime accepts the signature. */
export function acceptsByRuntime(one: SignatureCase): boolean {
  return verifyMessage(one.publicKey, one.message, one.signature);
}

/**
 * Reports whether the strict check followed by WebCrypto accepts it: a second opinion, on which
 * jose depends.
 */
export async function acceptsByWebCrypto(one: SignatureCase): Promise<boolean> {
  if (signatureFault(one.signature) !== undefined) return false;
  try {
    const { handle } = await verifyingKey(one.publicKey);
    const [signature, message] = [new Uint8Array(one.signature), new Uint8Array(one.message)];
    return await crypto.subtle.verify("Ed25519", handle, signature, message);
  } catch {
    // A refused key has no valid signatures.
    return false;
  }
}

/** Reports whether arithmetic alone accepts the signature. */
export function acceptsByArithmetic(one: SignatureCase): boolean {
  return verifyAgreed(one.publicKey, one.message, one.signature);
}

/** Returns all verdicts on one signature, for a comparison of runtimes. */
export async function verdictLine(one: SignatureCase): Promise<string> {
  const verdicts = [acceptsByRuntime(one), await acceptsByWebCrypto(one), acceptsByArithmetic(one)];
  return `${one.set} ${one.id} ${verdicts.join(" ")}`;
}

function hex(text: string): Uint8Array {
  const bytes = fromHex(text);
  if (bytes === undefined) throw new Error(`Not hexadecimal: ${text}`);
  return bytes;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const folder = vectorsFolder();
  if (folder === undefined) throw new Error("There are no vectors");
  let text = "";
  for (const one of signatureCases(folder)) text += `${await verdictLine(one)}\n`;
  process.stdout.write(text);
}
