/**
 * The identity of the front that runs beside a node: a folder in the node's data folder, which the node
 * fills itself, as it has the authority's keys. The front renews the certificate like any client; it is
 * enrolled again only if it was stopped for so long that the certificate has ended.
 */
import { RegistryError } from "../base/errors.ts";
import { REQUEST_TIMEOUT_MS_DEFAULT } from "../base/limits.ts";
import type { World } from "../base/world.ts";
import { IdentityFolder } from "../../identity/files/identity_folder.ts";
import { formatSpiffeId, parseSpiffeId } from "../../identity/pki/spiffe.ts";
import type { EnrolmentService } from "../serving/identities/enrolment_service.ts";

/** The parts of a node by which it enrols a front. */
export interface FrontEnrolmentParts {
  readonly enrolment: Pick<EnrolmentService, "enrolStanding">;
  /** SPIFFE id of the node; the front beside it has the same UUID. */
  readonly nodeSubject: string;
  /** The roots of the trust domain, PEM. */
  readonly rootsPem: string;
  readonly world: World;
  /** Whether this node has the authority's keys. */
  readonly hasKeys: boolean;
}

/**
 * Ensures that a folder has a valid certificate of a front.
 *
 * @throws RegistryError `invalid_configuration` if there is none and this node cannot issue one; those
 * of a commit.
 */
export async function enrolFront(path: string, parts: FrontEnrolmentParts): Promise<void> {
  const { enrolment, nodeSubject, rootsPem, world, hasKeys } = parts;
  const folder = new IdentityFolder(path);
  if (await isValid(folder, world)) return;
  if (!hasKeys) {
    throw new RegistryError(
      "invalid_configuration",
      `This node does not have the authority's keys, so it cannot enrol its front: run crs identity ` +
        `join-token front, and crs identity issue --identity ${path} with its token`,
      { field: "http" },
    );
  }
  const subject = formatSpiffeId({ ...parseSpiffeId(nodeSubject), role: "front" });
  folder.create(subject);
  folder.keepRoots(rootsPem);
  const key = await folder.firstKey(world.entropy);
  const { chain, bundle } = await enrolment.enrolStanding(
    { subject, publicKey: key.verifying.bytes, detail: "front" },
    world.monotonic.nowMs() + REQUEST_TIMEOUT_MS_DEFAULT,
  );
  await folder.keep(chain, bundle, world.wall.unixMs());
}

async function isValid(folder: IdentityFolder, { wall }: World): Promise<boolean> {
  if (folder.chain === undefined) return false;
  try {
    await folder.open(wall.unixMs());
    return true;
  } catch (error) {
    if (error instanceof RegistryError) return false;
    throw error;
  }
}
