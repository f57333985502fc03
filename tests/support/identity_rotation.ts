/**
 * Replaces every key that an identity depends on while sessions are active: their leaves, the
 * node's own leaf and TLS certificate, the intermediate that signs, the key that signs tokens. Each
 * session reads and writes all the while, some end and reconnect, some mint tokens that are checked
 * with keys up to a minute old; failures are counted.
 */
import { keyIdentifierOf, openAuthorityFolder } from "../../identity/files/authority_folder.ts";
import { rotateAuthority } from "../../identity/enrolment/authority_rotation.ts";
import { readCertificate } from "../../identity/pki/certificate_reader.ts";
import { isRefusal } from "../../identity/pki/certificate_refusal.ts";
import type { KeptIdentity } from "../../identity/files/kept_identity.ts";
import { checkToken, readTokenForm } from "../../identity/tokens/token_check.ts";
import { PublishedTokenKeys } from "../../identity/tokens/token_keys.ts";
import { toHex } from "../../src/base/bytes.ts";
import { RegistryError } from "../../src/base/errors.ts";
import type { Client } from "../../src/client/types.ts";
import { CertifiedRegistry, REGION, TRUST_DOMAIN } from "./certified_registry.ts";

const MINUTE_MS = 60_000;
/** The TLS certificate changes in the middle of the load. */
const BEFORE_TLS_MS = 13 * MINUTE_MS;
/**
 * The longest time from a leaf to its renewal, 60 % of 65 minutes, and from there to a session's.
 */
const LOAD_MINUTES = 46;
/** Concurrent requests for certificates, or connects. */
const AT_ONCE = 50;
const AUDIENCE = "api.example";

/** Counts of events during a rotation. */
export interface RotationFigures {
  readonly sessions: number;
  readonly requests: number;
  /** Requests, connections and tokens that failed, by kind and reason. */
  readonly failures: Readonly<Record<string, number>>;
  /** Sessions that ended unexpectedly. */
  readonly lost: number;
  /** Attempts to connect by a pin that was no longer presented, followed by one that succeeded. */
  readonly attemptsRepeated: number;
  /** Leaves whose key was replaced, and those signed by the new intermediate. */
  readonly leavesRenewed: number;
  readonly leavesOfNewIntermediate: number;
  readonly tlsRotated: boolean;
  /** Ids of the keys that signed tokens, in the order they appeared. */
  readonly tokenKeys: readonly string[];
  /** Keys that are published at the end. */
  readonly publishedKeys: number;
  readonly nodeLeafRenewed: boolean;
  readonly troubles: readonly string[];
}

interface Worker {
  readonly id: string;
  readonly kept: KeptIdentity;
  readonly firstLeaf: string;
  client: Client;
  isClosing: boolean;
}

/** Runs a rotation in an empty folder, which is not removed. */
export async function rotateUnderLoad(folder: string, sessions: number): Promise<RotationFigures> {
  const node = await CertifiedRegistry.open(folder);
  const load = new Load(node);
  const { world, authority } = node;
  const newKey = async (part: "intermediate" | "token-key") => {
    const nowMs = world.unixMs();
    const { entropy } = world;
    await rotateAuthority({
      part,
      authorityFolder: authority,
      rootFolder: `${folder}/pki/root`,
      nowMs,
      entropy,
    });
  };
  // Skip days on which nothing happens.
  const leadMs = 50 * MINUTE_MS;
  const startMs = Math.floor(node.identity.certificates.rotateAtMs) - BEFORE_TLS_MS;
  world.wallOffsetMs += startMs - leadMs - world.unixMs();
  await newKey("intermediate");
  await world.pass(leadMs);
  await load.begin(sessions);
  await newKey("token-key");
  const tlsBefore = toHex(node.identity.certificates.current.pin);
  for (let minute = 0; minute < LOAD_MINUTES; minute++) await load.minute(minute);
  const figures = await load.figures(tlsBefore !== toHex(node.identity.certificates.current.pin));
  await node.close();
  return figures;
}

class Load {
  readonly #node: CertifiedRegistry;
  readonly #workers: Worker[] = [];
  readonly #failures = new Map<string, number>();
  readonly #tokenKeys: string[] = [];
  #requests = 0;
  #lost = 0;
  #attemptsRepeated = 0;

  constructor(node: CertifiedRegistry) {
    this.#node = node;
  }

  /** Enrols and connects all sessions. */
  async begin(sessions: number): Promise<void> {
    const { world } = this.#node;
    for (let first = 0; first < sessions; first += AT_ONCE) {
      const numbers = Array.from(
        { length: Math.min(AT_ONCE, sessions - first) },
        (_, index) => first + index + 1,
      );
      this.#workers.push(
        ...await world.wait(Promise.all(numbers.map((number) => this.#worker(number)))),
      );
    }
  }

  /** Runs one minute of reads and writes by all sessions. */
  async minute(minute: number): Promise<void> {
    const { world, registry } = this.#node;
    const keys = new PublishedTokenKeys();
    keys.replace(registry.identities.tokens.keys());
    const work = this.#workers.map(async (worker, index) => {
      if ((index + minute) % 40 === 0) await this.#reconnect(worker);
      await this.#count("write", () => this.#write(worker));
      await this.#count("read", () => worker.client.getGateway(worker.id));
    });
    await world.wait(Promise.all(work));
    await world.pass(MINUTE_MS - 1_000);
    // The keys are a minute old at this point.
    const minters = this.#workers.filter((_, index) => (index + minute) % 10 === 0);
    await world.wait(Promise.all(
      minters.map((worker) => this.#count("token", () => this.#token(worker, keys))),
    ));
    await world.pass(1_000);
  }

  async figures(tlsRotated: boolean): Promise<RotationFigures> {
    const { authority, registry, troubles } = this.#node;
    const { intermediates } = await openAuthorityFolder(authority);
    const newest = toHex(keyIdentifierOf(intermediates.at(-1)!.certificate));
    const leaves = this.#workers.map(({ kept }) => kept.own.chain[0]!);
    const { keys } = JSON.parse(registry.identities.tokens.keys()) as { keys: unknown[] };
    const audit = registry.identities.group.state;
    const nodeLineage = [...Array(audit.nextLineage).keys()].map((number) => audit.lineage(number))
      .find((lineage) => lineage?.subject.includes("/node/"));
    for (const worker of this.#workers) worker.isClosing = true;
    await this.#node.world.wait(Promise.all(this.#workers.map(({ client }) => client.close())));
    return {
      sessions: this.#workers.length,
      requests: this.#requests,
      failures: Object.fromEntries(this.#failures),
      lost: this.#lost,
      attemptsRepeated: this.#attemptsRepeated,
      leavesRenewed:
        this.#workers.filter(({ firstLeaf }, index) => firstLeaf !== toHex(leaves[index]!)).length,
      leavesOfNewIntermediate: leaves.filter((leaf) => issuerOf(leaf) === newest).length,
      tlsRotated,
      tokenKeys: this.#tokenKeys,
      publishedKeys: keys.length,
      nodeLeafRenewed: (nodeLineage?.latest.generation ?? 0) > 1,
      troubles,
    };
  }

  async #worker(number: number): Promise<Worker> {
    const id = `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;
    const kept = await this.#node.join("gateway", id, { domains: ["g.example"], gateways: [] });
    const firstLeaf = toHex(kept.own.chain[0]!);
    const worker: Partial<Worker> = { id, kept, firstLeaf, isClosing: false };
    worker.client = await this.#connect(worker as Worker);
    return worker as Worker;
  }

  #connect(worker: Worker): Promise<Client> {
    return this.#node.connect(worker.kept, ({ kind }) => {
      if (kind === "lost" && !worker.isClosing) this.#lost++;
      // The pin that was current an hour ago is tried first, and the next one after it.
      if (kind === "attempt_failed") this.#attemptsRepeated++;
    });
  }

  async #reconnect(worker: Worker): Promise<void> {
    worker.isClosing = true;
    await worker.client.close();
    worker.isClosing = false;
    await this.#count("connect", async () => worker.client = await this.#connect(worker));
  }

  #write({ client, id }: Worker): Promise<unknown> {
    return client.registerGateway({
      id,
      region: REGION,
      domain: "g.example",
      address: "192.0.2.1",
      port: 4_000,
      ttlMs: 86_400_000,
    }, { takeOver: true });
  }

  async #token({ client, kept }: Worker, keys: PublishedTokenKeys): Promise<void> {
    const token = await client.identities.mintToken(AUDIENCE, 300_000);
    const form = readTokenForm(token);
    if (typeof form === "string") throw new Error(form);
    const verdict = checkToken(token, kept.own.identity, {
      issuer: `spiffe://${TRUST_DOMAIN}`,
      audience: AUDIENCE,
      keys,
      bans: { version: 0, isBanned: () => false },
    }, this.#node.world.unixMs());
    if (typeof verdict === "string") throw new Error(verdict);
    const { kid } = JSON.parse(atob(token.split(".")[0]!)) as { kid: string };
    if (!this.#tokenKeys.includes(kid)) this.#tokenKeys.push(kid);
  }

  async #count(what: string, run: () => Promise<unknown>): Promise<void> {
    this.#requests++;
    try {
      await run();
    } catch (error) {
      this.#fail(what, error instanceof RegistryError ? error.code : String(error));
    }
  }

  #fail(what: string, why: string): void {
    const name = `${what}: ${why}`;
    this.#failures.set(name, (this.#failures.get(name) ?? 0) + 1);
  }
}

/** Returns the key identifier of a leaf's issuer. */
function issuerOf(leaf: Uint8Array): string {
  const certificate = readCertificate(leaf);
  if (isRefusal(certificate)) throw new Error(certificate.message);
  return toHex(certificate.extensions.authorityKeyId!);
}
