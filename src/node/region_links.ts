/** The links of a node to the peer regions of its cluster: over QUIC, with the node's own identity. */
import type { World } from "../base/world.ts";
import { DialedRegion } from "../region/dialed_region.ts";
import type { RegionLink } from "../region/region_link.ts";
import { isBannedBy, type PeerRegion } from "../system/regions/region_state.ts";
import { QuicDialer } from "../../transport/quic_dialer.ts";
import type { OnError } from "../../transport/transport.ts";
import { type NodeConfig, parseEndpoint } from "./config.ts";
import type { NodeIdentity } from "./node_identity.ts";

/**
 * Returns the function that makes the link to a peer region.
 *
 * @param identity returns the identity of the node, which it has before it follows anybody.
 */
export function regionLinks(
  { config, world }: { readonly config: NodeConfig; readonly world: World },
  onError: OnError,
  identity: () => NodeIdentity | undefined,
): (region: PeerRegion) => RegionLink {
  return (region) => {
    const { name, servers, bundle } = region.settings;
    return new DialedRegion({
      region: name,
      own: config.region,
      endpoints: servers.flatMap((server) => parseEndpoint(server) ?? []),
      bundle,
      isBanned: (node) => isBannedBy(region, node, world.wall.unixMs()),
      credentials: identity()?.credentials ?? { kind: "development" },
      dialer: new QuicDialer({ scheduler: world.scheduler, onError }),
      world,
    });
  };
}
