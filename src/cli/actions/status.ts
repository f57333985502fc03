/** Shows the status of a node. */
import type { NodeStatus } from "../../client/mod.ts";
import { formatBytes } from "../byte_size.ts";
import { formatDuration } from "../duration.ts";
import { EXIT_CODES } from "../exit_codes.ts";
import { type Reply, type ServerOptions, type Shell, showReply, withClient } from "../shell.ts";
import { facts } from "../table.ts";

/** Fetches and prints the node's status. */
export async function status(flags: ServerOptions, shell: Shell): Promise<number> {
  const reply = await withClient(shell, flags, async ({ client }) => {
    const node = await client.nodeStatus();
    const { endpoint } = client.status;
    return statusReply(
      node,
      endpoint === undefined ? "" : `${endpoint.host} port ${endpoint.port}`,
    );
  });
  return await showReply(reply, flags, shell.terminal);
}

function statusReply(node: NodeStatus, where: string): Reply {
  return {
    json: node,
    exitCode: node.ready ? EXIT_CODES.success : EXIT_CODES.unavailable,
    text: () =>
      `Node ${node.nodeId} of region ${node.region}, ${where}\n` + facts([
        ["state", node.ready ? "ready" : `not ready: ${node.reason}`],
        ["version", node.version],
        ["up for", formatDuration(node.uptimeMs)],
        ["cluster", node.clusterId],
        ["nodes", nodesText(node)],
        ["partitions", partitionsText(node)],
        ["follower reads", followerReadsText(node)],
        ["gateways", node.gateways],
        ["agents", node.agents],
        ["domains", node.aliases],
        ...(node.stale === 0 ? [] : [["stale records", node.stale] as const]),
        ["sessions", node.sessions],
        ["record bytes", formatBytes(node.recordBytes)],
        ["log on disk", formatBytes(node.logBytes)],
        ["memory", formatBytes(node.memoryBytes)],
      ]),
  };
}

function nodesText({ members, connected }: NodeStatus): string {
  // A node that is alone is no member of anything.
  if (members <= 1) return "1";
  if (connected === members) return `${members}, all connected`;
  return `${members}, ${connected} of them connected, this one included`;
}

function partitionsText({ partitionCount, held, leading, leaderless }: NodeStatus): string {
  const parts = [`${partitionCount}`, `${held} held here`, `${leading} led`];
  if (leaderless > 0) parts.push(`${leaderless} without a leader`);
  return parts.join(", ");
}

function followerReadsText(node: NodeStatus): string {
  const { followerReads, followerReadsRedirected, followerReadsRefused } = node;
  const parts = [
    `${followerReads} served`,
    `${followerReadsRedirected} redirected`,
    `${followerReadsRefused} refused`,
  ];
  if (followerReads === 0) return parts.join(", ");
  const { followerReadAgeMsP50, followerReadAgeMsP99 } = node;
  return `${parts.join(", ")}; proven ages p50 ${followerReadAgeMsP50} ms, ` +
    `p99 ${followerReadAgeMsP99} ms`;
}
