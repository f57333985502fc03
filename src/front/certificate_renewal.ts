/**
 * Looks at intervals whether the files of a front's certificate have another one, which is then used
 * for further connections. One that cannot be used, as while the files are being replaced, is reported
 * once, and the one before stays.
 */
import { HTTP_CERTIFICATE_LOOK_MS } from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import type { Scheduler, Timer } from "../base/world.ts";
import type { TlsCertificate } from "../../transport/transport.ts";

/** Options of {@link CertificateRenewal}. */
export interface CertificateRenewalOptions {
  /** Returns the certificate that the files have now. It may throw. */
  readonly read: () => TlsCertificate;
  /** The certificate that is used at first. */
  readonly inUse: TlsCertificate;
  /** Uses another one, or throws. */
  readonly use: (certificate: TlsCertificate) => void;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
}

/** The renewal of one certificate, until it is closed. */
export class CertificateRenewal {
  readonly #options: CertificateRenewalOptions;
  #inUse: TlsCertificate;
  /** The fault that was reported last; empty if there is none. */
  #fault = "";
  #timer: Timer;

  constructor(options: CertificateRenewalOptions) {
    this.#options = options;
    this.#inUse = options.inUse;
    this.#timer = this.#lookLater();
  }

  /** Ends it. */
  close(): void {
    this.#timer.cancel();
  }

  #lookLater(): Timer {
    return this.#options.scheduler.after(HTTP_CERTIFICATE_LOOK_MS, () => {
      this.#look();
      this.#timer = this.#lookLater();
    });
  }

  #look(): void {
    const { read, use, logger } = this.#options;
    try {
      const found = read();
      const { chainPem, keyPem } = this.#inUse;
      if (found.chainPem !== chainPem || found.keyPem !== keyPem) {
        use(found);
        this.#inUse = found;
        logger.info("The certificate of the front was replaced");
      }
      this.#fault = "";
    } catch (error) {
      const fault = error instanceof Error ? error.message : String(error);
      if (fault === this.#fault) return;
      this.#fault = fault;
      logger.warn("The certificate of the front stays, as its files cannot be used", { error });
    }
  }
}
