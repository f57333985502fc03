/** The routes of requests that may be answered at once. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { z } from "zod";
import { HTTP_QUICK_PATHS_MAX } from "../../../src/base/limits.ts";
import { QuickRoutes } from "../../../src/http/quick_routes.ts";
import { route } from "../../../src/http/route.ts";

test("QuickRoutes finds the route of a path again, and remembers so many of them", () => {
  let checks = 0;
  const id = z.string().refine(() => ++checks > 0);
  const one = route({
    ...{ method: "GET", path: "/v1/things/{id}", name: "get_thing", tag: "t", summary: "s" },
    params: z.strictObject({ id }),
    answers: {},
    handle: () => Promise.resolve({}),
    atOnce: () => ({}),
  });
  const routes = new QuickRoutes([one]);
  for (let times = 0; times < 3; times++) {
    assert.equal(routes.find("/v1/things/a%40b")?.path, { id: "a@b" });
    assert.is(routes.find("/v1/things/"), undefined);
    assert.is(routes.find("/v1/things/a?b=c"), undefined);
  }
  assert.is(checks, 1);
  for (let at = 0; at < HTTP_QUICK_PATHS_MAX; at++) routes.find(`/v1/things/n${at}`);
  assert.is(checks, 1 + HTTP_QUICK_PATHS_MAX);
  assert.is(routes.find("/v1/things/n1")?.route, one);
  assert.is(checks, 1 + HTTP_QUICK_PATHS_MAX, "this one is remembered");
  assert.equal(routes.find("/v1/things/a%40b")?.path, { id: "a@b" });
  assert.is(checks, 2 + HTTP_QUICK_PATHS_MAX, "this one made room");
});

test.run();
