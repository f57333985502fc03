/** A governed plane and its mirror in another region, to which its entries are carried by hand. */
import type { MirroredEntry } from "../../schemas/gen/governance.ts";
import { encodeBeginMirror, encodeMirrorEntries } from "../../src/governance/governance_codec.ts";
import { type GovernanceReply, GovernanceStore } from "../../src/governance/governance_store.ts";
import { encodeRaisePartitionVersion } from "../../src/record/command.ts";
import type { ReadPayload } from "../../src/governance/documents/payload.ts";
import { A, B, GovernanceHarness } from "./governance.ts";

/** A plane that knows mirrors, in a region. */
export class RegionPlane extends GovernanceHarness {
  override region: string;

  constructor(region: string) {
    super();
    this.region = region;
    this.apply(encodeRaisePartitionVersion(this.header, 2));
  }

  /** Returns the mirror of a plane in a region, without entries. */
  static mirrorOf(home: RegionPlane, region: string): RegionPlane {
    const mirror = new RegionPlane(region);
    mirror.store = new GovernanceStore();
    mirror.apply(encodeRaisePartitionVersion(mirror.header, 2));
    mirror.begin(home);
    return mirror;
  }

  begin(home: RegionPlane): GovernanceReply {
    const { region } = this;
    const body = { genesis: home.genesis.bytes, home: home.region, region, caller: "operator" };
    return this.apply(encodeBeginMirror(this.header, body));
  }

  /** Returns the documents of the entries after a version. */
  entriesAfter(version: number, count = Infinity): MirroredEntry[] {
    return this.plane.log.entries.slice(version, version + count)
      .map(({ leaf, payload }) => ({ leaf, payload }));
  }

  /** Takes entries, by default all that follow of a home. */
  take(
    from: RegionPlane | readonly MirroredEntry[],
    after: number = this.store.version,
  ): GovernanceReply {
    const entries = from instanceof RegionPlane ? from.entriesAfter(after, 16) : from;
    const { region } = this;
    return this.apply(
      encodeMirrorEntries(this.header, { after, entries: [...entries], region, caller: "mirror" }),
    );
  }

  /** Returns the payload that makes a region the home. */
  nextHome(region: string): ReadPayload {
    return this.next({ id: "@home", kind: "home", schema: "home/1", body: { region } });
  }

  /** Publishes further versions of a descriptor. */
  publish(count: number, id = "svc"): void {
    for (let at = 0; at < count; at++) {
      const code = this.decide(this.next({ id }), [A, B]);
      if (code !== "ok") throw new Error(`Publishing ${id}: ${code}`);
    }
  }
}

/** Reports whether the log of one plane is the beginning of another one's. */
export function isPrefix(short: RegionPlane, long: RegionPlane): boolean {
  return short.store.version <= long.store.version &&
    short.plane.log.entries.every(({ leaf }, at) =>
      String(leaf) === String(long.plane.log.at(at + 1)!.leaf)
    );
}
