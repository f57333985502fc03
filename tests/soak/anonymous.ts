/**
 * Idle sessions without a proof from one address: `deno task soak anonymous [seconds]`, by default
 * 20. 120 of them are held open and reopened, while identities of the same address enrol by join
 * tokens, renew over their sessions, and renew without a session.
 */
import { initAuthority } from "../../identity/enrolment/authority_init.ts";
import { createCertificateRequest } from "../../identity/pki/certificate_request.ts";
import { IdentityFolder } from "../../identity/files/identity_folder.ts";
import { KeptIdentity, renewFolder } from "../../identity/files/kept_identity.ts";
import { readNodeFile } from "../../identity/files/node_file.ts";
import { proveRenewal } from "../../identity/enrolment/renewal_proof.ts";
import { LatencyHistogram } from "../../bench/latency.ts";
import { newDialer, RegistryServer } from "../../bench/registry.ts";
import { toRegistryError } from "../../src/base/errors.ts";
import { NO_GRANTS } from "../../src/base/peer.ts";
import { askUnauthenticated, type Client, connect } from "../../src/client/mod.ts";
import { processWorld } from "../../src/node/process_world.ts";
import type { Endpoint, Trust } from "../../transport/transport.ts";
import { startCrowd } from "./crowd.ts";
import type { SoakResult } from "./soak.ts";

const REGION = "eu-1";
const SESSIONS = 120;
const P99_MS_MAX = 200;
const PAUSE_MS = 50;
const ALONE_SECONDS = 8;
const world = processWorld();

/** Sends a request to the node, and measures its time. */
type Timed = <T>(asking: () => Promise<T>) => Promise<T>;

/** Sends a request without measuring its time. */
const UNTIMED: Timed = (asking) => asking();

/** The results of one kind of request. */
class Tally {
  readonly #histogram = new LatencyHistogram();
  readonly #failures: Record<string, number> = {};

  /**
   * Runs `call`, which marks its requests to the node for timing; work on keys and folders is not
   * timed.
   */
  async run(call: (timed: Timed) => Promise<unknown>): Promise<void> {
    try {
      await call((asking) => this.#ask(asking));
    } catch (error) {
      const { code } = toRegistryError(error);
      this.#failures[code] = (this.#failures[code] ?? 0) + 1;
    }
  }

  async #ask<T>(asking: () => Promise<T>): Promise<T> {
    const startMs = performance.now();
    const answer = await asking();
    this.#histogram.record((performance.now() - startMs) * 1_000);
    return answer;
  }

  get figures() {
    const { count } = this.#histogram;
    const p99Ms = this.#histogram.percentileUs(99) / 1_000;
    return { served: count, p50Ms: this.#histogram.percentileUs(50) / 1_000, p99Ms };
  }

  get failures(): Readonly<Record<string, number>> {
    return this.#failures;
  }

  get holds(): boolean {
    const { served, p99Ms } = this.figures;
    return served > 0 && p99Ms <= P99_MS_MAX && Object.keys(this.#failures).length === 0;
  }
}

/** Runs the sessions; holds if all identities are served in time. */
export async function run(args: readonly string[]): Promise<SoakResult> {
  const seconds = Number(args[0] ?? 20);
  const folder = Deno.makeTempDirSync({ prefix: "crs-soak-" });
  const made = await initAuthority({
    folder: `${folder}/pki`,
    trustDomain: "soak.example",
    region: REGION,
    nowMs: world.wall.unixMs(),
    entropy: world.entropy,
  });
  const flags = ["--authority", made.authorityFolder, "--region", REGION, "--found"];
  const server = await RegistryServer.start({ folder: `${folder}/data`, flags });
  const scene = new Scene(folder, `${folder}/data`);
  try {
    await scene.open(made.administratorFolder, made.administrator);
    const before = await observe(scene, ALONE_SECONDS);
    const crowd = await startCrowd({
      kind: "silent",
      endpoint: scene.endpoint,
      pin: scene.pin,
      sessions: SESSIONS,
      region: REGION,
    });
    const during = await observe(scene, seconds);
    const [open, evicted] = [
      await server.metric("crs_anonymous_sessions"),
      await server.metric("crs_anonymous_sessions_evicted_total"),
    ];
    crowd.terminate();
    const holds = Object.values(during).every((tally) => tally.holds) && open >= SESSIONS / 2;
    const figures = {
      ...{ sessions: SESSIONS, seconds, open, evicted },
      ...{ before: figuresOf(before), during: figuresOf(during) },
    };
    return { figures, holds };
  } finally {
    await scene.close();
    await server.stop();
    await Deno.remove(folder, { recursive: true });
  }
}

/** Enrols and renews for some seconds. */
async function observe(scene: Scene, seconds: number): Promise<Record<string, Tally>> {
  const endMs = performance.now() + seconds * 1_000;
  const [enrolments, renewals, renewalsWithoutSession] = [new Tally(), new Tally(), new Tally()];
  while (performance.now() < endMs) {
    const token = await scene.joinToken();
    await enrolments.run((timed) => scene.enrol(token, timed));
    await renewals.run((timed) => scene.renewOverSession(timed));
    await renewalsWithoutSession.run((timed) => scene.renewAlone(timed));
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  return { enrolments, renewals, renewalsWithoutSession };
}

function figuresOf(tallies: Record<string, Tally>) {
  return Object.fromEntries(
    Object.entries(tallies).map(([name, { figures, failures }]) => [
      name,
      { ...figures, failures },
    ]),
  );
}

/** The legitimate identities. */
class Scene {
  readonly endpoint: Endpoint;
  readonly pin: Uint8Array;
  readonly #folder: string;
  readonly #dialer = newDialer();
  readonly #kept: KeptIdentity[] = [];
  #controller: Client | undefined;
  #member: { readonly client: Client; readonly folder: IdentityFolder } | undefined;
  #alone: IdentityFolder | undefined;
  #enrolled = 0;

  constructor(folder: string, data: string) {
    const { addresses, currentPin } = readNodeFile(data)!;
    this.#folder = folder;
    this.endpoint = addresses.find(({ transport }) => transport === "quic")!;
    this.pin = currentPin;
  }

  /** Opens an administrator, an identity with a session, and one without. */
  async open(administratorFolder: string, subject: string): Promise<void> {
    const folder = new IdentityFolder(administratorFolder);
    const request = await createCertificateRequest(await folder.firstKey(world.entropy));
    const timeMs = Math.floor(world.wall.unixMs());
    const content = { request, timeMs, purpose: "administrator" } as const;
    const proof = await proveRenewal(content, await folder.key());
    const order = { token: "", subject, request, timeMs, proof };
    const { chain, bundle } = await askUnauthenticated("enrol", order, this.#unauthenticated);
    await folder.keep(chain, bundle, world.wall.unixMs());
    this.#controller = await this.#connect(administratorFolder);
    const member = await this.enrol(await this.joinToken());
    this.#member = { client: await this.#connect(member.path), folder: member };
    this.#alone = await this.enrol(await this.joinToken());
  }

  async joinToken(): Promise<{ readonly subject: string; readonly token: string }> {
    const id = crypto.randomUUID();
    const subject = `spiffe://soak.example/region/${REGION}/gateway/${id}`;
    const { token } = await this.#controller!.identities.createJoinToken(subject, NO_GRANTS);
    return { subject, token };
  }

  async enrol(
    { subject, token }: { readonly subject: string; readonly token: string },
    timed: Timed = UNTIMED,
  ): Promise<IdentityFolder> {
    const folder = new IdentityFolder(`${this.#folder}/member-${++this.#enrolled}`);
    folder.create(subject);
    folder.keepRoots(Deno.readTextFileSync(`${this.#folder}/pki/authority/root.pem`));
    const request = await createCertificateRequest(await folder.firstKey(world.entropy));
    const order = { token, subject, request };
    const { chain, bundle } = await timed(() =>
      askUnauthenticated("enrol", order, this.#unauthenticated)
    );
    await folder.keep(chain, bundle, world.wall.unixMs());
    return folder;
  }

  async renewOverSession(timed: Timed): Promise<void> {
    const { client, folder } = this.#member!;
    await renewFolder(folder, {
      ...world,
      ask: (order) => timed(() => client.identities.renew(order)),
    });
  }

  async renewAlone(timed: Timed): Promise<void> {
    await renewFolder(this.#alone!, {
      ...world,
      ask: (order) =>
        timed(() => askUnauthenticated("renewIdentity", order, this.#unauthenticated)),
    });
  }

  async close(): Promise<void> {
    await this.#controller?.close();
    await this.#member?.client.close();
    for (const kept of this.#kept) kept.close();
    await this.#dialer.close();
  }

  async #connect(folder: string): Promise<Client> {
    const ask = () => Promise.reject(new Error("It is not due"));
    const kept = await KeptIdentity.open({ folder, ...world, ask, onError: console.warn });
    this.#kept.push(kept);
    return await connect({
      endpoints: [this.endpoint],
      dialer: this.#dialer,
      trust: this.#trust,
      world,
      credentials: kept.credentials,
    });
  }

  get #trust(): Trust {
    return { kind: "pins", sha256: [this.pin] };
  }

  get #unauthenticated() {
    const { endpoint } = this;
    return { endpoint, dialer: this.#dialer, trust: this.#trust, world, timeoutMs: 5_000 };
  }
}
