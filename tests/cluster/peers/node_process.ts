/** A {@link QuicNode} in its own process, which the test kills: `node_process.ts <id> <folder>`. */
import { guardRejections } from "../../../transport/guard.ts";
import { QuicNode } from "./quic_node.ts";

async function main(): Promise<void> {
  guardRejections(globalThis, () => {});
  const [id, folder] = Deno.args;
  const node = await QuicNode.open(Number(id), folder!);
  const say = (value: unknown) => console.log(JSON.stringify(value));
  say(node.stated);
  let rest = "";
  for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      const { start, propose } = JSON.parse(line);
      if (start !== undefined) {
        await node.start(start);
        say("started");
      } else if (propose !== undefined) {
        node.campaign();
        while (!node.isLeading) await new Promise((resolve) => setTimeout(resolve, 5));
        say(await node.propose(propose));
      }
    }
  }
}

if (import.meta.main) await main();
