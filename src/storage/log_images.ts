/**
 * The images of a log's groups. At most one image per group is in progress; its mark is logged when
 * its file is durable, and when the mark is durable too, the image that it replaces is removed. An
 * image that was canceled meanwhile (its replica was forgotten, or an image from a leader arrived)
 * gets no mark, because it would bring back deleted state.
 */
import { assert } from "../base/assert.ts";
import { RegistryError } from "../base/errors.ts";
import type { GroupId } from "../base/ids.ts";
import {
  IMAGE_CONFIGURATION_BYTES_MAX,
  WAL_PENDING_BYTES_MAX,
  WAL_RETRY_MS,
} from "../base/limits.ts";
import type { Ledger } from "../wal/ledger.ts";
import { imageName } from "../wal/segment.ts";
import type { WalImage } from "../../schemas/gen/wal.ts";
import { ImageWriter } from "./image_writer.ts";
import type { LogWriter } from "./log_writer.ts";
import type { ImagePoint, LogDone } from "./shared_log.ts";
import type { StorageDriver } from "./storage_driver.ts";
import type { SubmittedView } from "./submitted_view.ts";

/** An image in progress. */
interface UnderWay {
  /** True for an image from a leader, which replaces the group's log. */
  readonly installs: boolean;
  readonly index: number;
  canceled: boolean;
}

/** Dependencies of {@link LogImages}. */
export interface LogImagesStart {
  readonly driver: StorageDriver;
  readonly ledger: Ledger;
  readonly submitted: SubmittedView;
  readonly writer: LogWriter;
  readonly logId: Uint8Array;
  /** Size of one write of an image; default `IMAGE_WRITE_BYTES`. */
  readonly imageWriteBytes: number | undefined;
}

/** Writes and removes the images of one log. */
export class LogImages {
  readonly #driver: StorageDriver;
  readonly #ledger: Ledger;
  readonly #submitted: SubmittedView;
  readonly #writer: LogWriter;
  readonly #logId: Uint8Array;
  readonly #files: ImageWriter;
  readonly #underWay = new Map<number, UnderWay>();
  #numberMax: number;

  constructor({ driver, ledger, submitted, writer, logId, imageWriteBytes }: LogImagesStart) {
    this.#driver = driver;
    this.#ledger = ledger;
    this.#submitted = submitted;
    this.#writer = writer;
    this.#logId = logId;
    this.#numberMax = ledger.imageNumberMax;
    this.#files = new ImageWriter(driver, writer, imageWriteBytes);
  }

  /** Highest number assigned to an image. */
  get numberMax(): number {
    return this.#numberMax;
  }

  get imagesWritten(): number {
    return this.#files.imagesWritten;
  }

  get bytesWritten(): number {
    return this.#files.bytesWritten;
  }

  /** Asserts that an append from `first` on does not conflict with an image in progress. */
  checkAppend(group: number, first: number): void {
    if (this.#underWay.size === 0) return;
    const underWay = this.#underWay.get(group);
    if (underWay === undefined) return;
    const { installs, index } = underWay;
    assert(!installs, `Append to group ${group} must wait for the image that replaces its log`);
    assert(
      first > index,
      `Append to group ${group} must begin above its pending image, ${index}: it begins at ${first}`,
    );
  }

  /** Writes an image; the caller has checked its index and that the log accepts submissions. */
  write(
    group: GroupId,
    point: ImagePoint,
    chunks: Iterable<Uint8Array>,
    { installs, done }: { readonly installs: boolean; readonly done: LogDone },
  ): RegistryError | undefined {
    const { index, term, configuration } = point;
    if (configuration.length > IMAGE_CONFIGURATION_BYTES_MAX) {
      return new RegistryError(
        "too_large",
        `Configuration must have at most ${IMAGE_CONFIGURATION_BYTES_MAX} bytes: it has ` +
          `${configuration.length}`,
      );
    }
    const { pendingBytes } = this.#files;
    if (pendingBytes > WAL_PENDING_BYTES_MAX) {
      return new RegistryError(
        "overloaded",
        `Cannot take more as ${pendingBytes} bytes of images wait for the disk`,
        { retryAfterMs: WAL_RETRY_MS },
      );
    }
    if (installs) this.cancel(group);
    assert(!this.#underWay.has(group), `Image of group ${group} must wait: one is in progress`);
    const underWay: UnderWay = { installs, index, canceled: false };
    this.#underWay.set(group, underWay);
    const number = ++this.#numberMax;
    this.#files.write(
      { logId: this.#logId, number, index, term, groupId: group, configuration },
      chunks,
      (image, marked) => this.#mark(group, image, underWay, marked),
      (error) => {
        this.#end(group, underWay);
        done(error);
      },
    );
    return undefined;
  }

  /** Cancels the group's image in progress, if there is one. */
  cancel(group: number): void {
    const underWay = this.#underWay.get(group);
    if (underWay === undefined) return;
    underWay.canceled = true;
    this.#underWay.delete(group);
  }

  /** Removes an unreferenced image, best effort: the next start does it too. */
  remove(image: WalImage | undefined): void {
    if (image === undefined) return;
    this.#driver.submit({ kind: "remove", file: imageName(image.number) }, () => {});
  }

  /** Calls `done` when no image is in progress. */
  drain(done: () => void): void {
    this.#files.drain(done);
  }

  #end(group: number, underWay: UnderWay): void {
    if (this.#underWay.get(group) === underWay) this.#underWay.delete(group);
  }

  #mark(group: number, image: WalImage, underWay: UnderWay, done: LogDone): void {
    if (underWay.canceled) {
      const why = `Image of group ${group} was canceled`;
      return done(new RegistryError("canceled", why));
    }
    const refusal = this.#writer.refusal();
    if (refusal !== undefined) return done(refusal);
    const { installs } = underWay;
    const bytes = this.#writer.batch().imageMark(group, image, installs);
    if (installs) this.#submitted.beginEnding(group, 0);
    this.#writer.submit({
      bytes,
      durable: () => {
        const replaced = this.#ledger.groups.get(group)?.image;
        this.#ledger.imageMark(group, image, installs);
        if (installs) this.#submitted.installed(group);
        this.remove(replaced);
        done(undefined);
      },
      failed: (error) => {
        if (installs) this.#submitted.endEnding(group);
        done(error);
      },
    });
  }
}
