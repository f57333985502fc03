/**
 * Server reflection: describes the services of this server to programs that have no proto files, such
 * as grpcurl. Version v1alpha, which older programs use, differs from v1 by its name alone.
 */
import {
  type DescFile,
  type DescMessage,
  type DescService,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import {
  ServerReflection as ServerReflectionV1Alpha,
} from "../../../schemas/proto/gen/grpc/reflection/v1alpha/reflection_pb.ts";
import {
  ServerReflection,
  type ServerReflectionRequestSchema,
  type ServerReflectionResponseSchema,
} from "../../../schemas/proto/gen/grpc/reflection/v1/reflection_pb.ts";
import { RegistryError } from "../../base/errors.ts";
import { GRPC_REFLECTION_REQUESTS_MAX } from "../../base/limits.ts";
import { type GrpcService, implement } from "../service.ts";
import { GRPC_CODES, type GrpcCode } from "../status.ts";

type Question = MessageShape<typeof ServerReflectionRequestSchema>["messageRequest"];
type Answer = MessageInitShape<typeof ServerReflectionResponseSchema>;
type Outcome = NonNullable<Answer["messageResponse"]>;

/**
 * Returns the reflection services, which describe themselves too.
 *
 * @param services all others.
 * @param files files of further messages, such as the details of errors.
 */
export function reflectionServices(
  services: readonly DescService[],
  files: readonly DescFile[],
): GrpcService[] {
  const all = [...services, ServerReflection, ServerReflectionV1Alpha];
  const described = new DescribedFiles(all, files);
  return [
    implement(ServerReflection, {
      serverReflectionInfo: async function* (requests) {
        for await (const { host, messageRequest } of counted(requests)) {
          yield {
            validHost: host,
            originalRequest: { host, messageRequest },
            messageResponse: described.answer(messageRequest),
          };
        }
      },
    }),
    implement(ServerReflectionV1Alpha, {
      serverReflectionInfo: async function* (requests) {
        for await (const { host, messageRequest } of counted(requests)) {
          // Its messages have the same fields, but types of their own.
          const messageResponse = described.answer(messageRequest as Question) as never;
          yield { validHost: host, originalRequest: { host, messageRequest }, messageResponse };
        }
      },
    }),
  ];
}

/** Passes requests on, up to a limit. */
async function* counted<T>(requests: AsyncIterable<T>): AsyncGenerator<T> {
  let count = 0;
  for await (const request of requests) {
    if (++count > GRPC_REFLECTION_REQUESTS_MAX) {
      const message = `A stream must have at most ${GRPC_REFLECTION_REQUESTS_MAX} requests`;
      throw new RegistryError("too_large", message);
    }
    yield request;
  }
}

/** The files of services and all that they import. */
class DescribedFiles {
  readonly #services: readonly string[];
  readonly #byName = new Map<string, DescFile>();
  readonly #bySymbol = new Map<string, DescFile>();

  constructor(services: readonly DescService[], files: readonly DescFile[]) {
    this.#services = services.map(({ typeName }) => typeName).sort();
    for (const file of [...services.map(({ file }) => file), ...files]) this.#add(file);
  }

  /** Returns the answer to one request. */
  answer(question: Question): Outcome {
    switch (question.case) {
      case "listServices": {
        const service = this.#services.map((name) => ({ name }));
        return { case: "listServicesResponse", value: { service } };
      }
      case "fileByFilename":
        return filesOf(this.#byName.get(question.value), "file");
      case "fileContainingSymbol":
        return filesOf(this.#bySymbol.get(question.value), "symbol");
      case "fileContainingExtension":
        return filesOf(undefined, "extension");
      case "allExtensionNumbersOfType":
        if (this.#bySymbol.has(question.value)) {
          const value = { baseTypeName: question.value, extensionNumber: [] };
          return { case: "allExtensionNumbersResponse", value };
        }
        return refusal("NOT_FOUND", "There is no type of this name");
      case undefined:
        return refusal("INVALID_ARGUMENT", "The request must ask for something");
    }
  }

  #add(file: DescFile): void {
    if (this.#byName.has(file.proto.name)) return;
    this.#byName.set(file.proto.name, file);
    for (const dependency of file.dependencies) this.#add(dependency);
    for (const { typeName } of file.enums) this.#bySymbol.set(typeName, file);
    for (const message of file.messages) this.#addMessage(message, file);
    for (const { typeName, methods } of file.services) {
      this.#bySymbol.set(typeName, file);
      for (const { name } of methods) this.#bySymbol.set(`${typeName}.${name}`, file);
    }
  }

  #addMessage(message: DescMessage, file: DescFile): void {
    this.#bySymbol.set(message.typeName, file);
    for (const { typeName } of message.nestedEnums) this.#bySymbol.set(typeName, file);
    for (const nested of message.nestedMessages) this.#addMessage(nested, file);
  }
}

/** Returns a file and all that it imports, each once. */
function filesOf(file: DescFile | undefined, asked: string): Outcome {
  if (file === undefined) return refusal("NOT_FOUND", `There is no such ${asked}`);
  const files = new Set([file]);
  // The loop reaches what it adds.
  for (const { dependencies } of files) dependencies.forEach((dependency) => files.add(dependency));
  const fileDescriptorProto = [...files].map(({ proto }) =>
    toBinary(FileDescriptorProtoSchema, proto)
  );
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto } };
}

function refusal(code: GrpcCode, errorMessage: string): Outcome {
  return { case: "errorResponse", value: { errorCode: GRPC_CODES[code], errorMessage } };
}
