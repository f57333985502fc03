/** Errors that a client gets for a server that it cannot connect to. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { dialError } from "../../../transport/dialing.ts";

test("dialError names the server's certificate as the fault where its time is over or to come", () => {
  for (
    const message of [
      "invalid peer certificate: Expired",
      "invalid peer certificate: certificate expired: verification time 1795987986 (UNIX)",
      "invalid peer certificate: NotValidYet",
      "invalid peer certificate: certificate not valid yet: verification time 1 (UNIX)",
      "certificate has expired",
    ]
  ) {
    const error = dialError(new Error(message), "127.0.0.1 port 4443");
    assert.is(error.code, "tls_failed");
    assert.match(error.message, /server or a clock is at fault, not your identity/, message);
  }
  const other = dialError(new Error("invalid peer certificate: UnknownIssuer"), "a port");
  assert.is(other.code, "tls_failed");
  assert.not.match(other.message, /clock/);
});

test.run();
