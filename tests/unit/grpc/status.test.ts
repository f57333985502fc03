/** The statuses of gRPC: the table of codes, the trailers, and the details of errors. */
import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  ErrorInfoSchema,
  RetryInfoSchema,
} from "../../../schemas/proto/gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../../schemas/proto/gen/google/rpc/status_pb.ts";
import { decodeBase64 } from "../../../src/base/base64.ts";
import { ERROR_TABLE, type ErrorCode, RegistryError } from "../../../src/base/errors.ts";
import {
  CODES_OF_ERRORS,
  ERROR_DOMAIN,
  GRPC_CODES,
  GrpcError,
  OK,
  statusOf,
  trailersOf,
} from "../../../src/grpc/status.ts";

/** Returns the details of an error as a client reads them. */
function detailsOf(error: unknown) {
  const trailers = trailersOf(statusOf(error));
  const text = trailers["grpc-status-details-bin"]!;
  assert.not.match(text, /=/, "binary metadata has no padding");
  const bytes = decodeBase64(text.padEnd(Math.ceil(text.length / 4) * 4, "="))!;
  const { code, message, details } = fromBinary(StatusSchema, bytes);
  assert.is(String(code), trailers["grpc-status"]);
  const found = <T>(schema: Parameters<typeof anyUnpack>[1]) =>
    details.map((any) => anyUnpack(any, schema)).find((one) => one !== undefined) as T | undefined;
  return {
    message,
    info: found<{ reason: string; domain: string; metadata: Record<string, string> }>(
      ErrorInfoSchema,
    ),
    retry: found<{ retryDelay?: { seconds: bigint; nanos: number } }>(RetryInfoSchema),
  };
}

test("statusOf maps every code of the registry to an error of gRPC", () => {
  for (const code of Object.keys(ERROR_TABLE) as ErrorCode[]) {
    const status = statusOf(new RegistryError(code, "text"));
    assert.is(status.code, CODES_OF_ERRORS[code]);
    assert.ok(GRPC_CODES[status.code] > 0, code);
    assert.is(detailsOf(new RegistryError(code, "text")).info?.reason, code.toUpperCase());
  }
});

test("trailersOf a success has the status alone", () => {
  assert.equal(trailersOf(OK), { "grpc-status": "0" });
});

test("trailersOf an error of gRPC alone gives its status code as the reason", () => {
  const { info, retry } = detailsOf(new GrpcError("UNIMPLEMENTED", "no"));
  assert.equal([info?.reason, info?.domain, retry], ["UNIMPLEMENTED", ERROR_DOMAIN, undefined]);
});

test("trailersOf escapes all but printable ASCII", () => {
  const { "grpc-message": text } = trailersOf(statusOf(new GrpcError("UNKNOWN", "50% of\nZürich")));
  assert.is(text, "50%25 of%0AZ%C3%BCrich");
});

test("trailersOf shortens a long text between characters", () => {
  const long = "ü".repeat(2_000);
  const { "grpc-message": text } = trailersOf(statusOf(new GrpcError("UNKNOWN", `x${long}`)));
  assert.is(decodeURIComponent(text!), `x${"ü".repeat(511)}`);
});

test("the details say what is wrong and when a retry is worthwhile", () => {
  const fields = { field: "relay_id", retryAfterMs: 1_500, homeRegion: "eu-1" };
  const { info, retry, message } = detailsOf(new RegistryError("overloaded", "full", fields));
  assert.is(message, "full");
  assert.equal({ ...info?.metadata }, { field: "relay_id", homeRegion: "eu-1" });
  assert.equal([retry?.retryDelay?.seconds, retry?.retryDelay?.nanos], [1n, 500_000_000]);
});

test("only errors after which the same request may succeed have RetryInfo", () => {
  assert.ok(detailsOf(new RegistryError("not_leader", "")).retry !== undefined);
  assert.is(
    detailsOf(new RegistryError("connection_lost", "")).retry,
    undefined,
    "it may be applied",
  );
  assert.is(detailsOf(new RegistryError("not_found", "")).retry, undefined);
});

test("the text of a bug is not shown", () => {
  const status = statusOf(new TypeError("secret"));
  assert.equal([status.code, status.message], ["INTERNAL", "internal error"]);
});

test.run();
