/** Clients of gRPC in other languages, as the tests of real programs need them. */
import { create, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { AeroRegistry } from "../../schemas/proto/gen/aeroarc/registry/v1/registry_pb.ts";
import type { Requirement } from "./requirement.ts";

const GO_SOURCE = new URL("../interop/go/", import.meta.url);

/**
 * Returns the client of tests/interop/go, built for this run; it is missing where there is no Go, or where
 * the modules that it needs cannot be fetched.
 */
export async function goClient(): Promise<Requirement<string>> {
  const path = `${await Deno.makeTempDir()}/client`;
  const advice =
    "a Go of 1.26 or newer, or grpc-go by its module proxy, is missing; go.dev has both";
  try {
    const { success } = await new Deno.Command("go", {
      args: ["build", "-mod=readonly", "-o", path, "."],
      cwd: GO_SOURCE,
      env: { CGO_ENABLED: "0" },
      stdout: "null",
      stderr: "null",
    }).output();
    return { found: success ? path : undefined, advice };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return { found: undefined, advice };
  }
}

/** Returns Debian's Python if it has grpcio. */
export async function pythonWithGrpc(): Promise<Requirement<string>> {
  const path = "/usr/bin/python3";
  const advice = "grpcio of Debian's Python is missing; Debian's package python3-grpcio brings it";
  try {
    const { success } = await new Deno.Command(path, {
      args: ["-c", "import grpc, google.protobuf"],
      stderr: "null",
    }).output();
    return { found: success ? path : undefined, advice };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return { found: undefined, advice };
  }
}

/** Returns the files that describe AeroRegistry, as a FileDescriptorSet; imported ones come first. */
export function aeroDescriptors(): Uint8Array {
  const { file } = AeroRegistry;
  const files = [...file.dependencies, file].map(({ proto }) => proto);
  return toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file: files }));
}

/** Runs a program to its end; returns what it printed and whether it succeeded. */
export async function ran(
  path: string,
  ...args: string[]
): Promise<{ readonly success: boolean; readonly output: string }> {
  const { success, stdout, stderr } = await new Deno.Command(path, { args, stdin: "null" })
    .output();
  const output = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("");
  return { success, output };
}
