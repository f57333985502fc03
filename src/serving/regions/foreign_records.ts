/**
 * Records that belong to another region: only their home writes them, so a write here is refused with the
 * home as the hint.
 *
 * A record belongs to the region that it names, if that is a peer. A record that names this region, or
 * none of both, belongs to the peer of which there is a mirror here, unless there is an own record, or the
 * owner's certificate is of this region: otherwise a stolen region could keep the owners of this one out
 * by inventing their records.
 */
import { RegistryError } from "../../base/errors.ts";
import type { AuthenticatedPeer } from "../../base/peer.ts";
import { formatUuid } from "../../base/uuid.ts";
import { type RecordKind, recordKindName } from "../../record/kinds.ts";
import type { Partition } from "../partitions.ts";
import type { AcceptedRecord } from "../record_intake.ts";
import type { MirrorHomes } from "./mirror_homes.ts";

/** Finds the home of records that are of other regions. */
export class ForeignRecords {
  readonly #homes: MirrorHomes;

  constructor(homes: MirrorHomes) {
    this.#homes = homes;
  }

  /** Checks that a record to register belongs here. @throws RegistryError `foreign_region`. */
  checkRegistration(
    partition: Partition,
    kind: RecordKind,
    { id, region }: AcceptedRecord,
    peer: AuthenticatedPeer,
  ): void {
    if (this.#homes.isPeer(region)) throw foreign(kind, id, region);
    const isCertifiedHere = peer.role !== "development" && peer.region === this.#homes.own;
    const { store } = partition;
    if (isCertifiedHere || store.mirrors.isEmpty || store.find(kind, id, 0, id.length) !== -1) {
      return;
    }
    this.checkMissing(partition, kind, id);
  }

  /**
   * Checks that a record, of which there is no own one, is not of another region.
   *
   * @throws RegistryError `foreign_region`.
   */
  checkMissing(partition: Partition, kind: RecordKind, id: Uint8Array): void {
    const home = this.homeOf(partition, kind, id, 0);
    if (home !== undefined) throw foreign(kind, id, home);
  }

  /** Returns the home of the best mirror of a record; undefined if there is none. @param id at `at`. */
  homeOf({ store }: Partition, kind: number, id: Uint8Array, at: number): string | undefined {
    if (store.mirrors.isEmpty) return undefined;
    const slot = store.mirrors.find(kind, id, at, this.#homes);
    return slot === -1 ? undefined : store.mirrors.view(slot).home;
  }
}

function foreign(kind: RecordKind, id: Uint8Array, homeRegion: string): RegistryError {
  return new RegistryError(
    "foreign_region",
    `The ${recordKindName(kind)} ${
      formatUuid(id)
    } belongs to region ${homeRegion}, which alone writes it`,
    { homeRegion },
  );
}
