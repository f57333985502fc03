/**
 * Copies of the project into which mutants are planted: a few folders under `tmp/`, each used by
 * one run at a time. A mutant's files replace the originals there, and the next one restores them,
 * so that most of the copy is loaded as it was compiled for the previous mutant. The copy is made at
 * the first mutant; later changes of the project do not reach it.
 */
import { fileURLToPath } from "node:url";
import { uvuReplacedBy } from "../../runner/uvu_map.ts";
import { type Mutant, rewrite, type Simulator } from "./mutant.ts";
import { DENO_RUN } from "../../support/deno_run.ts";

/** The folders that a simulation, or a test file that catches a mutant, needs. */
const FOLDERS = ["src", "schemas", "identity", "transport", "tests/sim", "tests/support"];
const FILES = ["deno.json", "deno.lock", "package.json"];
const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const WORKSHOPS = `${ROOT}tmp/mutants`;
/** Kept between runs; more are created while more runs are active at once. */
const PLACES_MAX = 64;

/** The finding of a mutant's simulator. */
export interface Caught {
  readonly seed: number;
  readonly checker: string;
  readonly message: string;
}

/** The end of a run over seeds. */
export interface Outcome {
  /** Undefined: there was no finding. */
  readonly caught: Caught | undefined;
  readonly seedsRun: number;
}

/** A folder with a copy of the project. */
export class Workshop {
  readonly #folder: string;
  readonly #lock: Deno.FsFile;
  /** The files of the project as they were copied at the first mutant. */
  #sources: ReadonlyMap<string, string> | undefined;
  /** The files of the copy that a mutant has rewritten. */
  #planted: ReadonlyMap<string, string> = new Map();

  private constructor(folder: string, lock: Deno.FsFile) {
    this.#folder = folder;
    this.#lock = lock;
  }

  /** Opens a folder that is not in use; it is free again after {@link close}. */
  static async open(): Promise<Workshop> {
    await Deno.mkdir(WORKSHOPS, { recursive: true });
    for (let place = 1; place <= PLACES_MAX; place++) {
      const lock = await Deno.open(`${WORKSHOPS}/${place}.lock`, { write: true, create: true });
      if (await lock.tryLock(true)) {
        return new Workshop(`${WORKSHOPS}/${place}`, lock);
      }
      lock.close();
    }
    throw new RangeError(`All ${PLACES_MAX} workshops are in use`);
  }

  /** Returns the folder to the pool. */
  close(): void {
    this.#lock.close();
  }

  /** Runs `seeds` of a simulator in order with `mutant` planted, up to the first finding. */
  async run(
    mutant: Mutant | undefined,
    seeds: readonly number[],
    simulator: Simulator,
  ): Promise<Outcome> {
    await this.#plant(mutant);
    const command = new Deno.Command(Deno.execPath(), {
      args: [
        ...DENO_RUN,
        "--no-lock",
        "tests/sim/mutants/probe.ts",
        seeds.join(","),
        simulator,
      ],
      cwd: this.#folder,
      stdin: "null",
    });
    const { stdout, stderr } = await command.output();
    const said = new TextDecoder().decode(stdout);
    const line = said.split("\n").findLast((each) => each.startsWith("{"));
    if (line === undefined) {
      throw new Error(
        `The simulator broke under ${mutant?.name ?? "no mutant"}:\n${said}` +
          new TextDecoder().decode(stderr),
      );
    }
    return JSON.parse(line) as Outcome;
  }

  /** Runs a test file with `mutant` planted. @returns the first failing test; undefined for none */
  async test(mutant: Mutant, file: string): Promise<string | undefined> {
    await this.#plant(mutant);
    const path = `${this.#folder}/${file}`;
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    await Deno.copyFile(ROOT + file, path);
    const command = new Deno.Command(Deno.execPath(), {
      args: [...DENO_RUN, "--no-lock", `--import-map=${this.#importMap()}`, file],
      cwd: this.#folder,
      env: { NO_COLOR: "1" },
      stdin: "null",
    });
    const { success, stdout, stderr } = await command.output();
    if (success) return undefined;
    const said = new TextDecoder().decode(stdout);
    const [, failed] = /FAIL {2}"(.*)"/.exec(said) ?? [];
    if (failed !== undefined) return failed;
    throw new Error(
      `${file} broke under ${mutant.name}:\n${said}${new TextDecoder().decode(stderr)}`,
    );
  }

  /** Replaces uvu by the module that stops at the first failure. */
  #importMap(): string {
    const stopping = `file://${this.#folder}/tests/sim/mutants/first_failure.ts`;
    return uvuReplacedBy(stopping, JSON.parse(Deno.readTextFileSync(`${ROOT}package.json`)));
  }

  /** Makes the folder contain the project with `mutant` in it, and nothing else. */
  async #plant(mutant: Mutant | undefined): Promise<void> {
    const sources = this.#sources ??= await this.#copied();
    const sourceOf = (file: string) => {
      const source = sources.get(file);
      if (source !== undefined) return source;
      throw new RangeError(`A mutant cannot change ${file}: it is not used`);
    };
    const planted = mutant === undefined ? new Map<string, string>() : rewrite(mutant, sourceOf);
    for (const file of this.#planted.keys()) {
      await Deno.writeTextFile(`${this.#folder}/${file}`, sourceOf(file));
    }
    this.#planted = planted;
    for (const [file, text] of planted) await Deno.writeTextFile(`${this.#folder}/${file}`, text);
  }

  /** Makes the folder contain the project, and nothing else; returns its files by path. */
  async #copied(): Promise<Map<string, string>> {
    const wanted = new Set<string>(FILES);
    for (const folder of FOLDERS) await listFiles(folder, wanted);
    const sources = new Map<string, string>();
    for (const file of wanted) {
      const path = `${this.#folder}/${file}`;
      await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
      const text = await Deno.readTextFile(ROOT + file);
      sources.set(file, text);
      if (await readIfThere(path) !== text) await Deno.writeTextFile(path, text);
    }
    for (const folder of FOLDERS) {
      const there = new Set<string>();
      await listFiles(folder, there, `${this.#folder}/`);
      for (const file of there) {
        if (!wanted.has(file)) await Deno.remove(`${this.#folder}/${file}`);
      }
    }
    await linkPackages(this.#folder);
    return sources;
  }
}

async function linkPackages(folder: string): Promise<void> {
  try {
    await Deno.symlink(`${ROOT}node_modules`, `${folder}/node_modules`);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
}

async function listFiles(folder: string, into: Set<string>, root = ROOT): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(root + folder)) {
    if (isDirectory) await listFiles(`${folder}/${name}`, into, root);
    else if (/\.(ts|json)$/.test(name)) into.add(`${folder}/${name}`);
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
