/** Group 0's state machine with a cluster, to which commands are applied one after another. */
import type { RegistryError } from "../../src/base/errors.ts";
import { encodeGenesis, encodePutMember } from "../../src/record/command.ts";
import { SystemStore } from "../../src/system/system_store.ts";
import { encodeAdmitMember } from "../../src/system/members/member_state.ts";

/** The header of the harness' commands. */
export const HEADER = { timeMs: 5, unixS: 6, writer: 3 };

/** The outcome of a command: its number if it assigned one, otherwise its code. */
export type Came = number | RegistryError["code"] | "ok";

/** The state of group 0 after a genesis. */
export class SystemHarness {
  store = new SystemStore();

  constructor({ partitionCount = 16 } = {}) {
    this.apply(encodeGenesis(HEADER, {
      clusterId: new Uint8Array(16).fill(1),
      hashKey: new Uint8Array(16).fill(2),
      partitionCount,
      generation: 2,
      region: "eu",
    }));
  }

  get state() {
    return this.store.state;
  }

  apply(data: Uint8Array, term = 1): Came {
    const index = this.store.appliedIndex + 1;
    const reply = this.store.apply({ index, term, data });
    return reply.code === "ok" && "assigned" in reply ? reply.assigned! : reply.code;
  }

  /** Admits a node with the folder of that number. */
  admit(folder: number, nodeId = 0, applyVersionMax = 2, program = ""): Came {
    const folderId = new Uint8Array(16).fill(folder);
    const places = { zone: `zone ${folder}`, host: `host ${folder}` };
    const described = { nodeId, folderId, applyVersionMax, program, ...places };
    return this.apply(encodeAdmitMember(HEADER, described));
  }

  /** Puts a node, which says that its program knows that apply version; 0: it does not say. */
  put(nodeId: number, applyVersionMax = 0): Came {
    const pin = new Uint8Array(32);
    const member = { nodeId, addresses: [], pin, nextPin: pin, applyVersionMax };
    return this.apply(encodePutMember(HEADER, member));
  }

  /** Continues from an image of the state; fails if the restored state gives a different image. */
  reload(): void {
    const image = [...this.store.writeImage()].map((chunk) => chunk.slice());
    const loaded = new SystemStore();
    loaded.loadImage(image);
    const again = [...loaded.writeImage()];
    if (String(again) !== String(image)) throw new Error("The image of an image differs");
    this.store = loaded;
  }
}
