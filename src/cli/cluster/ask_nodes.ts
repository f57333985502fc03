/**
 * Asks every node of a cluster the same question: each answers for what is its own. The node that the
 * options select tells who the others are; they are verified by the pins that it has of them.
 */
import type { ClusterStatusReply, MemberStatus } from "../../../schemas/gen/wire.ts";
import { RegistryError, toRegistryError } from "../../base/errors.ts";
import { formatPin } from "../../../identity/pki/certificate.ts";
import { endpointText } from "../endpoint_text.ts";
import type { Connected, ServerOptions, Shell } from "../shell.ts";
import { withClient } from "../shell.ts";

/** The answer of a node, or why it gave none. */
export interface NodeAnswer<T> {
  readonly member: MemberStatus;
  readonly answer: T | undefined;
  readonly error: RegistryError | undefined;
}

/** Answers of the nodes of a cluster. */
export interface NodeAnswers<T> {
  /** The cluster as the first node sees it. */
  readonly seen: ClusterStatusReply;
  /** The answers by node, ordered by node id. */
  readonly nodes: readonly NodeAnswer<T>[];
}

/**
 * Asks the nodes at the same time.
 *
 * @param ask asks one node; `seen` is the cluster as the first node sees it.
 * @throws RegistryError if the selected node cannot be asked; failures of others are in the answers.
 */
export async function askNodes<T>(
  options: ServerOptions,
  shell: Shell,
  ask: (client: Connected["client"], seen: ClusterStatusReply) => Promise<T>,
): Promise<NodeAnswers<T>> {
  return await withClient(shell, options, async ({ client }) => {
    const seen = await client.call("clusterStatus", {});
    const nodes = await Promise.all(seen.members.map(async (member): Promise<NodeAnswer<T>> => {
      try {
        const answer = member.nodeId === seen.nodeId
          ? await ask(client, seen)
          : await askMember(member, options, shell, (other) => ask(other, seen));
        return { member, answer, error: undefined };
      } catch (error) {
        return { member, answer: undefined, error: toRegistryError(error) };
      }
    }));
    return { seen, nodes };
  });
}

async function askMember<T>(
  member: MemberStatus,
  options: ServerOptions,
  shell: Shell,
  ask: (client: Connected["client"]) => Promise<T>,
): Promise<T> {
  const server = optionsOf(member, options);
  return await withClient(shell, server, async ({ client }) => await ask(client));
}

/**
 * Returns the options that select a member of the cluster instead of the node of `options`.
 *
 * @throws RegistryError `connection_lost` if it has no address for clients.
 */
export function optionsOf(member: MemberStatus, options: ServerOptions): ServerOptions {
  const address = addressOf(member, options.tls === true ? "tls" : "quic");
  if (address === undefined) {
    throw new RegistryError("connection_lost", `Node ${member.nodeId} has no address for clients`);
  }
  const { currentPin, nextPin } = member;
  const pins = [currentPin, nextPin].filter((pin) => pin.length > 0).map(formatPin);
  // TLS verifies by the CA.
  const trust = options.tls === true ? {} : { pin: pins };
  return { ...options, ...trust, server: address };
}

/** Returns the failure of a node as a document; null if it answered. */
export function errorJson({ error }: NodeAnswer<unknown>): unknown {
  return error === undefined ? null : { code: error.code, message: error.message };
}

/** Returns the text shown for a node that gave no answer. */
export function noAnswerText({ error }: NodeAnswer<unknown>): string {
  return `no answer (${error?.code ?? "internal"})`;
}

/** Returns the first address of a member for a transport, as `--server` takes it. */
export function addressOf(
  { addresses }: MemberStatus,
  wanted = "quic",
): string | undefined {
  const address = addresses.find(({ transport }) => transport === wanted);
  return address === undefined ? undefined : endpointText(address);
}
