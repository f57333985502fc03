/** One call to another node over a connection of its own. */
import type { Input } from "../../schemas/runtime/writer.ts";
import { connectCaller } from "../client/client.ts";
import type { ConnectParameters } from "../client/types.ts";
import type { OperationName, ReplyOf, RequestOf } from "../wire/operations/mod.ts";

/** Connects, makes the call, and closes the connection and the dialer. */
export async function callOnce<Name extends OperationName>(
  parameters: ConnectParameters,
  name: Name,
  request: Input<RequestOf<Name>>,
): Promise<ReplyOf<Name>> {
  try {
    const client = await connectCaller(parameters);
    try {
      return await client.call(name, request);
    } finally {
      await client.close();
    }
  } finally {
    await parameters.dialer.close();
  }
}
