/** The login of a user of etcd, at a stand-in whose answers the test gives. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../../src/base/errors.ts";
import { EtcdLogin } from "../../../../src/relay/leased/etcd_login.ts";
import { EtcdStore } from "../../../../src/relay/leased/etcd_store.ts";
import { JsonHttp } from "../../../../src/relay/leased/json_http.ts";
import type { HttpAddress } from "../../../../src/relay/relay_url.ts";
import { codeOf } from "../../../support/refusal.ts";

const USER = { username: "root", password: "secret" };
const ADDRESS: HttpAddress = { kind: "etcd", name: "etcd://h:2379", origin: "http://h", ...USER };
const GRANTED = { ID: "7", TTL: "5" };

function answered(status: number, body: unknown): Response {
  const headers = { date: "Mon, 30 Nov 2026 12:00:00 GMT" };
  return new Response(JSON.stringify(body), { status, headers });
}

function call(signal = new AbortController().signal) {
  return { signal, timeoutMs: 1_000 };
}

/** A server with users. */
class Etcd {
  logins = 0;
  token = "t1";
  /** Answers instead of the login. */
  refusal: Response | undefined;
  /** Whether logins wait for {@link open}. */
  isHeld = false;
  open = () => {};

  readonly send = async (request: Request): Promise<Response> => {
    const { pathname } = new URL(request.url);
    if (pathname !== "/v3/auth/authenticate") {
      const isKnown = request.headers.get("authorization") === this.token;
      if (isKnown) return answered(200, GRANTED);
      return answered(401, { error: "etcdserver: invalid auth token", code: 16 });
    }
    this.logins++;
    if (this.isHeld) {
      await new Promise<void>((resolve, reject) => {
        this.open = resolve;
        request.signal.addEventListener("abort", () => reject(request.signal.reason));
      });
    }
    assert.equal(await request.json(), { name: USER.username, password: USER.password });
    return this.refusal?.clone() ?? answered(200, { token: this.token });
  };
}

test("EtcdStore logs in once, and again once its token is refused", async () => {
  const etcd = new Etcd();
  const store = new EtcdStore(ADDRESS, etcd.send);
  await Promise.all(Array.from({ length: 5 }, () => store.grant(5_000, call())));
  assert.is(etcd.logins, 1);
  etcd.token = "t2";
  assert.is(await store.grant(5_000, call()), GRANTED.ID);
  assert.is(etcd.logins, 2);
});

test("EtcdStore gives a call up whose new token is refused as well", async () => {
  const etcd = new Etcd();
  const store = new EtcdStore(ADDRESS, async (request) => {
    const answer = await etcd.send(request);
    etcd.token += "x";
    return answer;
  });
  assert.is(await codeOf(store.grant(5_000, call())), "invalid_configuration");
  assert.is(etcd.logins, 2);
});

test("EtcdLogin says why it is refused", async () => {
  const etcd = new Etcd();
  const login = new EtcdLogin(new JsonHttp(ADDRESS, etcd.send), USER);
  const error = "etcdserver: authentication failed, invalid user ID or password";
  for (
    const [answer, code] of [
      [answered(400, { error, code: 3 }), "invalid_configuration"],
      [answered(503, { error: "etcdserver: no leader", code: 14 }), "connection_lost"],
      [answered(400, {}), "internal"],
      [answered(200, {}), "internal"],
    ] as const
  ) {
    etcd.refusal = answer;
    assert.is(await codeOf(login.token(call())), code);
  }
  etcd.refusal = undefined;
  assert.is(await login.token(call()), "t1");
});

test("EtcdLogin is begun by another call if the one that began it gives up", async () => {
  const etcd = new Etcd();
  etcd.isHeld = true;
  const login = new EtcdLogin(new JsonHttp(ADDRESS, etcd.send), USER);
  const leaving = new AbortController();
  const impatient = new AbortController();
  const first = login.token(call(leaving.signal));
  const second = login.token(call());
  const third = login.token(call(impatient.signal));
  impatient.abort(new RegistryError("deadline_exceeded", "late"));
  assert.is(await codeOf(third), "deadline_exceeded");
  leaving.abort(new RegistryError("canceled", "gone"));
  etcd.isHeld = false;
  assert.is(await codeOf(first), "canceled");
  assert.is(await second, "t1");
  assert.is(etcd.logins, 2);
});

test.run();
