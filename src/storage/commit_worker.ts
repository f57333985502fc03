/** The program of the commit thread: performs commits until it is told to end. */
import fs from "node:fs";
import type { CommitStep } from "./commit.ts";
import {
  CommitChannel,
  type CommitError,
  type CommitPaths,
  type CommitRequest,
} from "./commit_channel.ts";

/** Readable by the owner only, because data may reveal who connects from where. */
const FILE_MODE = 0o600;

/** The two files of the last commit, open. */
class KeptFiles {
  #paths: CommitPaths = { log: "", mark: "" };
  #log: number | undefined;
  #mark: number | undefined;

  /** Sets the files of the commits to come. */
  set(paths: CommitPaths): void {
    // First, because the other thread does not send them again if closing fails.
    this.#paths = paths;
    this.close();
  }

  get log(): number {
    return this.#log ??= open(this.#paths.log);
  }

  get mark(): number {
    return this.#mark ??= open(this.#paths.mark);
  }

  close(): void {
    const handles = [this.#log, this.#mark];
    this.#log = this.#mark = undefined;
    for (const handle of handles) if (handle !== undefined) fs.closeSync(handle);
  }
}

function open(path: string): number {
  return fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_CREAT, FILE_MODE);
}

function serve(channel: CommitChannel): void {
  const files = new KeptFiles();
  while (channel.await()) channel.reply(commit(files, channel.take()));
  files.close();
}

/** Performs one commit; after a failed step no other one follows. */
function commit(
  files: KeptFiles,
  { paths, position, bytes, markPosition, markBytes }: CommitRequest,
): CommitError | undefined {
  let step: CommitStep = "write";
  try {
    if (paths !== undefined) files.set(paths);
    writeAll(files.log, bytes, position);
    step = "sync";
    fs.fdatasyncSync(files.log);
    step = "mark";
    writeAll(files.mark, markBytes, markPosition);
    return undefined;
  } catch (error) {
    const { code = "", message } = error as NodeJS.ErrnoException;
    return { step, code, message };
  }
}

function writeAll(handle: number, bytes: Uint8Array, position: number): void {
  for (let at = 0; at < bytes.length;) {
    at += fs.writeSync(handle, bytes, at, bytes.length - at, position + at);
  }
}

/** A worker's own scope, of which the types of the main thread know nothing. */
const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<SharedArrayBuffer>) => void;
  postMessage(message: string): void;
  close(): void;
};

scope.onmessage = ({ data }) => {
  scope.postMessage("ready");
  serve(new CommitChannel(data));
  scope.close();
};
