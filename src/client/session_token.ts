/**
 * Presents the client's token on its session, so that the token's grants apply there: before the
 * first call, after each renewal of the session's authentication, and before the current token
 * expires if another is available by then. A session ends with its token, so a token that is
 * refused or has no successor is left to the provider of tokens.
 */
import { RegistryError, toRegistryError } from "../base/errors.ts";
import { AUTH_RENEW_RETRY_MS, REQUEST_TIMEOUT_MS_DEFAULT } from "../base/limits.ts";
import type { Timer, World } from "../base/world.ts";
import type { Credentials, TokenUse } from "./credentials.ts";
import type { FurtherStreams } from "./further_streams.ts";
import type { SessionProof } from "./session_proof.ts";
import { askOnce } from "./single_request.ts";

/** Parameters of a {@link SessionToken}. */
export interface SessionTokenOptions {
  readonly further: FurtherStreams;
  readonly credentials: Credentials;
  readonly world: World;
}

/** The tokens of one session. */
export class SessionToken {
  readonly #options: SessionTokenOptions;
  #timer: Timer | undefined;
  #shown: string | undefined;
  #over = false;

  constructor(options: SessionTokenOptions) {
    this.#options = options;
  }

  /**
   * Handles a new authentication of the session: passes on the token that came with it and presents
   * the current one. Does neither if somebody could be in the middle, unless the credentials allow
   * it. Never rejects.
   */
  async proven(proof: SessionProof | undefined): Promise<void> {
    const { credentials, further: { session } } = this.#options;
    if (credentials.kind === "development" || credentials.tokens === undefined) return;
    const isPinned = session.authenticatesPeers || proof?.result.pinned === true;
    if (!isPinned && credentials.trustUnpinned !== true) return;
    const { tokens } = credentials;
    const given = proof?.result.token;
    if (given !== undefined) tokens.given?.(given);
    this.#shown = undefined;
    await this.#show(tokens);
  }

  /** Stops presenting tokens. */
  close(): void {
    this.#over = true;
    this.#timer?.cancel();
  }

  async #show(tokens: TokenUse): Promise<void> {
    const token = tokens.current();
    if (token === undefined || this.#over) return;
    if (token === this.#shown) return this.#later(tokens, AUTH_RENEW_RETRY_MS);
    try {
      const expiresAtMs = await this.#ask(token);
      this.#shown = token;
      const { wall, entropy } = this.#options.world;
      this.#later(tokens, (expiresAtMs - wall.unixMs()) * (0.5 + 0.2 * entropy.unit()));
    } catch (error) {
      tokens.refused?.(toRegistryError(error));
    }
  }

  #later(tokens: TokenUse, delayMs: number): void {
    if (this.#over) return;
    this.#timer?.cancel();
    const waitMs = Math.max(AUTH_RENEW_RETRY_MS, delayMs);
    this.#timer = this.#options.world.scheduler.after(waitMs, () => void this.#show(tokens));
  }

  async #ask(token: string): Promise<number> {
    const { further, world } = this.#options;
    const stream = await further.open("request");
    const timeoutMs = REQUEST_TIMEOUT_MS_DEFAULT;
    let isLate = false;
    const timer = world.scheduler.after(timeoutMs, () => {
      isLate = true;
      stream.abort();
    });
    try {
      const { expiresAtMs } = await askOnce("useToken", { token }, { stream, timeoutMs });
      return expiresAtMs;
    } catch (error) {
      if (!isLate) throw error;
      throw new RegistryError("deadline_exceeded", "The server did not answer useToken in time");
    } finally {
      timer.cancel();
      stream.abort();
    }
  }
}
