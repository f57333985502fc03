/** The errors of etcd, as its JSON gateway words them. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { EtcdStore } from "../../../../src/relay/leased/etcd_store.ts";
import type { HttpAddress } from "../../../../src/relay/relay_url.ts";
import { codeOf } from "../../../support/refusal.ts";

const ADDRESS: HttpAddress = { kind: "etcd", name: "etcd://h:2379", origin: "http://h" };

function storeThatAnswers(status: number, body: unknown): EtcdStore {
  const headers = { date: "Mon, 30 Nov 2026 12:00:00 GMT" };
  return new EtcdStore(
    ADDRESS,
    () => Promise.resolve(new Response(JSON.stringify(body), { status, headers })),
  );
}

test("EtcdStore renews nothing while etcd has no leader, and may be asked again", async () => {
  const message = "etcdserver: no leader";
  for (
    const error of [
      // etcd 3.4
      { grpc_code: 14, http_code: 503, message, http_status: "Service Unavailable" },
      // etcd 3.6
      { code: 14, message, details: [] },
    ]
  ) {
    const call = { signal: new AbortController().signal, timeoutMs: 1_000 };
    for (const status of [200, 503]) {
      const store = storeThatAnswers(status, { error });
      assert.is(await codeOf(store.renew("7", call)), "connection_lost", `${status}`);
    }
  }
});

test.run();
