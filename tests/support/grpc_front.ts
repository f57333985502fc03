/** A front that serves gRPC without TLS, in a process of its own. */
import { CrsProcess, documentIn } from "./crs_process.ts";

/** A running front. */
export class GrpcFront {
  readonly port: number;
  readonly #process: CrsProcess;

  private constructor(process: CrsProcess, port: number) {
    this.#process = process;
    this.port = port;
  }

  /** Starts a front of the nodes with that data folder. @param port 0 for any. */
  static async start(folder: string, port = 0): Promise<GrpcFront> {
    const process = new CrsProcess([
      ...["front", "--data", folder, "--grpc", `127.0.0.1:${port}`, "--json"],
    ]);
    const { grpc } = await process.printed(
      "a document",
      documentIn<{ readonly grpc: { readonly port: number } }>,
    );
    return new GrpcFront(process, grpc.port);
  }

  /** Ends it by SIGKILL. */
  async end(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.ended();
  }
}
