/** The groups of a node as backups read them. */
import { recordCountOf } from "../replication/machines.ts";
import type { ClusterGroups } from "../replication/assembly/cluster_groups.ts";
import { BackupImages } from "../serving/backup_images.ts";
import type { IdentityService } from "../serving/identities/identity_service.ts";
import { BACKUPS_APPLY_VERSION } from "../system/versions/features.ts";
import type { RegistryOptions } from "./registry_options.ts";

/** Returns the images that backups read at a node. */
export function backupImages(
  { nodeId, world }: RegistryOptions,
  groups: ClusterGroups,
  { group: identities }: IdentityService,
): BackupImages {
  return new BackupImages({
    nodeId,
    clock: world.monotonic,
    scheduler: world.scheduler,
    audit: async ({ subject, lineage }, deadlineMs) => {
      // While a node runs an earlier program, which could not apply the note, backups must be possible.
      if (groups.system.store.state.versions.applyVersion < BACKUPS_APPLY_VERSION) return;
      const note = { action: "backup", subject: "", detail: `for ${subject}` } as const;
      await identities.note(note, lineage, deadlineMs);
    },
    find: (group) => {
      const hosted = groups.nodes.hosted(group);
      if (hosted === undefined) return undefined;
      const { raft, machine } = hosted;
      return {
        group: raft,
        image: () => groups.nodes.set.imageTurns.collect(machine.writeImage()),
        recordCount: () => recordCountOf(machine),
      };
    },
  });
}
