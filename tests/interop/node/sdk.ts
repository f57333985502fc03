/**
 * A gateway as a program on Node: registers itself at a registry over TLS, resolves itself by region,
 * and is told of itself by a watch. Prints one JSON document.
 *
 *     node sdk.ts <identity folder> <host> <port> <gateway id> <domain>
 */
import process from "node:process";
import { connect, KeptIdentity, processWorld, TlsDialer, trustOfCaFile } from "../../../mod.ts";

const [folder = "", host = "", port = "", id = "", domain = ""] = process.argv.slice(2);
const world = processWorld();
const identity = await KeptIdentity.open({
  folder,
  ...world,
  onError: console.warn,
  ask: () => Promise.reject(new Error("A fresh certificate needs no renewal")),
});
const dialer = new TlsDialer({
  scheduler: world.scheduler,
  onError: console.warn,
  certificate: () => identity.tlsCertificate,
});
const client = await connect({
  endpoints: [{ host, port: Number(port) }],
  trust: trustOfCaFile(`${folder}/root.pem`),
  credentials: identity.credentials,
  dialer,
  world,
});
const gateway = await client.keepGateway({
  id,
  region: "eu-1",
  domain,
  address: "192.0.2.10",
  port: 4000,
});
const found = await client.resolveGateways("eu-1");
let watched = "";
for await (const event of client.watch({ kind: "gateway", region: "eu-1" }, { state: true })) {
  if (event.type !== "put") continue;
  watched = event.record.id;
  break;
}
console.log(
  JSON.stringify({ id: gateway.id, found: found.items.map(({ gateway }) => gateway.id), watched }),
);
await client.close({ releaseLeases: true });
await dialer.close();
identity.close();
