/** A client of gRPC in Python, and programs that check a face. */
import { create, type DescFile, type DescService, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import type { Requirement } from "./requirement.ts";

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

/** Returns the files that describe a service, as a FileDescriptorSet; imported ones come first. */
export function descriptorsOf({ file }: DescService): Uint8Array {
  const files = new Set<DescFile>();
  const add = (one: DescFile) => {
    one.dependencies.forEach(add);
    files.add(one);
  };
  add(file);
  const protos = [...files].map(({ proto }) => proto);
  return toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file: protos }));
}
