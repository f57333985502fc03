/** The founding of a group, which a log may refuse. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import { logFounding } from "../../../src/replication/group_founding.ts";
import type { ReplicaLogStart } from "../../../src/replication/replica_log.ts";
import { EMPTY_CONFIGURATION } from "../../../src/raft/mod.ts";
import type { SharedLog } from "../../../src/storage/shared_log.ts";
import { each, idOfGroup, Journal } from "../../support/group_cluster.ts";
import { ManualTime } from "../../support/manual_time.ts";

const FULL = new RegistryError("overloaded", "The disk is behind");

test("logFounding: an image that the log refuses is ended, and the refusal reported in a later turn", () => {
  for (const refuses of ["saveHardState", "installImage"]) {
    const time = new ManualTime(0);
    const answer = (name: string) => () => name === refuses ? FULL : undefined;
    const log: Partial<SharedLog> = {
      saveHardState: answer("saveHardState"),
      installImage: answer("installImage"),
    };
    let ended = 0;
    class Counted extends Journal {
      override writeImage() {
        const chunks = each([]);
        const end = () => {
          ended++;
          return chunks.return(undefined);
        };
        return { [Symbol.iterator]: () => chunks, next: () => chunks.next(), return: end };
      }
    }
    const group = {
      id: idOfGroup(1),
      machine: new Counted(),
      configuration: { ...EMPTY_CONFIGURATION, voters: [1] },
    };
    const founded: (ReplicaLogStart | RegistryError)[] = [];
    logFounding(log as SharedLog, group, (result) => void founded.push(result), time);
    assert.equal([ended, founded], [1, []]);
    time.advance(0);
    assert.equal(founded, [FULL]);
  }
});

test.run();
