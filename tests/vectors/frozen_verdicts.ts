/**
 * The verdicts of our verifiers on our own frozen tokens and sealed labels, on the current runtime.
 * Run as a program it prints the verdicts, so that runtimes can be compared.
 */
import { readFileSync } from "node:fs";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { BanList } from "../../identity/trust/ban_list.ts";
import { openLabel } from "../../identity/tokens/sealed_label.ts";
import { checkToken } from "../../identity/tokens/token_check.ts";
import { PublishedTokenKeys } from "../../identity/tokens/token_keys.ts";
import { openingKeyOf } from "../../identity/tokens/x25519.ts";
import { fromHex } from "../../src/base/bytes.ts";

/** tests/vectors/tokens.json. */
export interface FrozenTokens {
  readonly nowMs: number;
  readonly issuer: string;
  readonly audience: string;
  readonly subject: string;
  /** Hexadecimal. */
  readonly leafHash: string;
  readonly jwks: string;
  readonly tokens: readonly { name: string; token: string; verdict: string }[];
}

/** tests/vectors/sealed_labels.json. */
export interface FrozenLabels {
  readonly label: string;
  readonly value: string;
  readonly forOne: string;
  readonly forBoth: string;
}

/** Returns `accepted`, or the fault, for each token. */
export function tokenVerdicts(frozen: FrozenTokens): string[] {
  const { issuer, audience, subject, nowMs } = frozen;
  const keys = new PublishedTokenKeys();
  keys.replace(frozen.jwks);
  const rules = { issuer, audience, keys, bans: new BanList() };
  const leafHash = fromHex(frozen.leafHash);
  if (leafHash === undefined) throw new Error("leafHash is no hexadecimal");
  const verdicts: string[] = [];
  for (const { token } of frozen.tokens) {
    const verdict = checkToken(token, { subject, leafHash }, rules, nowMs);
    verdicts.push(typeof verdict === "string" ? verdict : "accepted");
  }
  return verdicts;
}

/**
 * Returns the value, or the fault, for each label with each key: for one, for both; first key,
 * second, third.
 */
export async function labelVerdicts(frozen: FrozenLabels): Promise<string[]> {
  const verdicts: string[] = [];
  const place = { recordId: new Uint8Array(16).fill(7), label: frozen.label };
  for (const sealed of [frozen.forOne, frozen.forBoth]) {
    for (const seed of [1, 2, 3]) {
      const key = await openingKeyOf(new Uint8Array(32).fill(seed));
      const opened = await openLabel(sealed, place, key);
      verdicts.push("fault" in opened ? opened.fault : opened.value);
    }
  }
  return verdicts;
}

/** Reads a frozen file of that folder. */
export function readFrozen<T>(folder: string, name: string): T {
  return JSON.parse(readFileSync(`${folder}/${name}`, "utf8"));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const folder = process.env.FROZEN ?? "";
  const verdicts = [
    ...tokenVerdicts(readFrozen(folder, "tokens.json")),
    ...await labelVerdicts(readFrozen(folder, "sealed_labels.json")),
  ];
  process.stdout.write(verdicts.join("\n"));
}
