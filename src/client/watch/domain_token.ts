/**
 * The token of a watch of a domain: those of its two watches, of the alias and of the agent, and what
 * was known of both, as three texts with points between them.
 *
 * The third one holds, little-endian: version 1, flags (1: there is an alias, 2: the agent is known,
 * 4: the domain resolves, as its reader was told), the agent's id (16 bytes), the claim of the alias
 * and the claim of the agent (generation 4 bytes, index 8 bytes each).
 */
import { decodeBase64url, encodeBase64url } from "../../base/base64url.ts";
import { NO_POSITION, type Position } from "../../base/position.ts";
import { UUID_BYTES } from "../../base/uuid.ts";
import { invalid } from "./filter.ts";

const VERSION = 1;
const HAS_ALIAS = 1;
const HAS_AGENT = 2;
const RESOLVES = 4;
const ALIAS_CLAIM_AT = 2 + UUID_BYTES;
const AGENT_CLAIM_AT = ALIAS_CLAIM_AT + 12;
const FACTS_BYTES = AGENT_CLAIM_AT + 12;

/** An alias: the agent that it names, and the claim. */
export interface AliasTarget {
  /** 16 bytes. */
  readonly agentId: Uint8Array;
  readonly claim: Position;
}

/** The contents of a token of a domain watch. */
export interface DomainToken {
  readonly alias: string;
  /** Undefined if there was no alias. */
  readonly agent: string | undefined;
  readonly target: AliasTarget | undefined;
  /** The claim of the agent's record; undefined if there was none. */
  readonly agentClaim: Position | undefined;
  readonly isResolved: boolean;
}

/** Encodes a token. */
export function encodeDomainToken(token: DomainToken): string {
  const { alias, agent = "", target, agentClaim, isResolved } = token;
  const facts = new Uint8Array(FACTS_BYTES);
  const view = new DataView(facts.buffer);
  facts[0] = VERSION;
  facts[1] = (target === undefined ? 0 : HAS_ALIAS) | (agentClaim === undefined ? 0 : HAS_AGENT) |
    (isResolved ? RESOLVES : 0);
  if (target !== undefined) facts.set(target.agentId, 2);
  putPosition(view, ALIAS_CLAIM_AT, target?.claim ?? NO_POSITION);
  putPosition(view, AGENT_CLAIM_AT, agentClaim ?? NO_POSITION);
  return [alias, agent, encodeBase64url(facts)].join(".");
}

/** Decodes a token. @throws RegistryError `invalid_argument`. */
export function decodeDomainToken(text: string): DomainToken {
  const [alias = "", agent = "", coded = "", ...rest] = text.split(".");
  const facts = decodeBase64url(coded);
  if (rest.length > 0 || facts?.length !== FACTS_BYTES || facts[0] !== VERSION) {
    throw invalid("from", "be a token of a watch of a domain");
  }
  const view = new DataView(facts.buffer);
  const flags = facts[1]!;
  return {
    alias,
    agent: agent === "" ? undefined : agent,
    target: (flags & HAS_ALIAS) === 0
      ? undefined
      : { agentId: facts.slice(2, ALIAS_CLAIM_AT), claim: positionAt(view, ALIAS_CLAIM_AT) },
    agentClaim: (flags & HAS_AGENT) === 0 ? undefined : positionAt(view, AGENT_CLAIM_AT),
    isResolved: (flags & RESOLVES) !== 0,
  };
}

function putPosition(view: DataView, at: number, { generation, index }: Position): void {
  view.setUint32(at, generation, true);
  view.setBigUint64(at + 4, BigInt(index), true);
}

function positionAt(view: DataView, at: number): Position {
  return { generation: view.getUint32(at, true), index: Number(view.getBigUint64(at + 4, true)) };
}
