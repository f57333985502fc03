/** The rotation of a node's TLS certificates, with what it says to logs and readiness. */
import type { Logger } from "../base/logger.ts";
import type { World } from "../base/world.ts";
import {
  CertificateRotation,
  type RotatingCertificates,
} from "../../identity/trust/certificate_rotation.ts";
import type { Readiness } from "./readiness.ts";

/** The dependencies of {@link rotateCertificates}. */
export interface TurnoverOptions {
  readonly certificates: RotatingCertificates;
  readonly world: World;
  readonly readiness: Readiness;
  readonly logger: Logger;
  /** Called when the current certificate was replaced. */
  readonly onRotate: () => void;
  /** Called when a rotation failed, which is logged. */
  readonly onError: () => void;
}

/** Starts the rotation. While no certificate is valid by the node's clock, the node is not ready. */
export function rotateCertificates(options: TurnoverOptions): CertificateRotation {
  const { certificates, world: { wall, scheduler }, readiness, logger, onRotate } = options;
  const rotation = new CertificateRotation({
    certificates,
    wall,
    scheduler,
    onRotate,
    onValidity: (valid) => {
      readiness.set("certificate_invalid", !valid);
      if (valid) logger.info("The node's certificate is valid by its clock");
      else logger.error("The node's certificate is not valid by its clock: check the clock");
    },
    onError: (error) => {
      options.onError();
      logger.warn("The certificate could not be rotated", { error });
    },
  });
  rotation.start();
  return rotation;
}
