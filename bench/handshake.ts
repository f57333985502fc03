/**
 * Measures the time from dialing to the first reply, with a proof of identity at both ends, over
 * loopback: the time that a client waits for each new session. Measures QUIC with `registry-auth/1`
 * and a pin, and TLS with client certificates; for comparison also QUIC without identities, which
 * shows the cost of the proof. Sessions run one after the other, in turns; node and client are two
 * processes.
 */
import { initAuthority } from "../identity/enrolment/authority_init.ts";
import { createCertificateRequest } from "../identity/pki/certificate_request.ts";
import { IdentityFolder } from "../identity/files/identity_folder.ts";
import { KeptIdentity } from "../identity/files/kept_identity.ts";
import { readNodeFile } from "../identity/files/node_file.ts";
import { proveRenewal } from "../identity/enrolment/renewal_proof.ts";
import { askUnauthenticated, type Client, connect } from "../src/client/mod.ts";
import { processWorld } from "../src/node/process_world.ts";
import { TlsDialer } from "../transport/tls.ts";
import type { Endpoint, Trust } from "../transport/transport.ts";
import type { ResultFile } from "./harness.ts";
import { newDialer, RegistryServer } from "./registry.ts";

const REGION = "eu-1";
const SESSIONS = 200;
/** Count of initial sessions that are not measured, because code is compiled during them. */
const WARM_UP = 50;
const TIMEOUT_MS = 5_000;

const world = processWorld();

/** Measures each kind of session. */
export async function benchHandshake(file: ResultFile): Promise<void> {
  const folder = Deno.makeTempDirSync({ prefix: "crs-bench-" });
  const quic = newDialer();
  const plain = await RegistryServer.start();
  try {
    const made = await initAuthority({
      folder: `${folder}/pki`,
      trustDomain: "bench.example",
      region: REGION,
      nowMs: world.wall.unixMs(),
      entropy: world.entropy,
    });
    const flags = ["--authority", made.authorityFolder, "--region", REGION, "--found"];
    const data = `${folder}/data`;
    const tlsFlags = ["--tls", "on", "--tls-port", "0"];
    const node = await RegistryServer.start({ folder: data, flags: [...flags, ...tlsFlags] });
    const { addresses, currentPin } = readNodeFile(data)!;
    const at = (transport: string): Endpoint =>
      addresses.find((address) => address.transport === transport)!;
    const pins: Trust = { kind: "pins", sha256: [currentPin] };
    const kept = await issueAdministrator(made.administratorFolder, at("quic"), pins);
    const { credentials, tlsCertificate } = kept;
    const { scheduler } = world;
    const tls = new TlsDialer({ scheduler, onError: () => {}, certificate: () => tlsCertificate });
    const root = Deno.readTextFileSync(`${made.authorityFolder}/root.pem`);
    const ca: Trust = { kind: "ca", pem: [root] };
    const ways: Readonly<Record<string, () => Promise<Client>>> = {
      quic: () =>
        connect({ endpoints: [at("quic")], dialer: quic, trust: pins, world, credentials }),
      tls: () => connect({ endpoints: [at("tls")], dialer: tls, trust: ca, world, credentials }),
      unproven: () => plain.connect({}, quic),
    };
    const times = new Map(Object.keys(ways).map((way) => [way, [] as number[]]));
    for (let session = 0; session < WARM_UP + SESSIONS; session++) {
      for (const [way, open] of Object.entries(ways)) {
        const startMs = performance.now();
        const client = await open();
        await client.nodeStatus();
        if (session >= WARM_UP) times.get(way)!.push(performance.now() - startMs);
        await client.close();
      }
    }
    for (const [way, found] of times) {
      const at = (share: number) => Number(found[Math.floor(found.length * share)]!.toFixed(2));
      found.sort((left, right) => left - right);
      file.write({
        bench: `handshake ${way}`,
        sessions: SESSIONS,
        p50Ms: at(0.5),
        p99Ms: at(0.99),
      });
    }
    kept.close();
    await tls.close();
    await node.stop();
  } finally {
    await quic.close();
    await plain.stop();
    await Deno.remove(folder, { recursive: true });
  }
}

/** Issues the administrator's certificate, requested with its key. */
async function issueAdministrator(
  path: string,
  endpoint: Endpoint,
  trust: Trust,
): Promise<KeptIdentity> {
  const { wall, entropy, scheduler } = world;
  const folder = new IdentityFolder(path);
  const key = await folder.firstKey(entropy);
  const request = await createCertificateRequest(key);
  const timeMs = Math.floor(wall.unixMs());
  const proof = await proveRenewal({ request, timeMs, purpose: "administrator" }, key);
  const dialer = newDialer();
  const order = { token: "", subject: folder.subject, request, timeMs, proof };
  const { chain, bundle } = await askUnauthenticated("enrol", order, {
    endpoint,
    dialer,
    trust,
    world,
    timeoutMs: TIMEOUT_MS,
  });
  await dialer.close();
  await folder.keep(chain, bundle, wall.unixMs());
  const ask = () => Promise.reject(new Error("The bench is over before half of an hour"));
  return await KeptIdentity.open({
    folder: path,
    wall,
    scheduler,
    entropy,
    ask,
    onError: () => {},
  });
}
