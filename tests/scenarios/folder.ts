/** Location of the scenario files. */

/** Returns `RAFT_SCENARIOS`, or `../shared/vectors/raft` beside the project. */
export function scenarioFolder(): string {
  const named = Deno.env.get("RAFT_SCENARIOS");
  if (named !== undefined && named !== "") return named;
  return decodeURIComponent(new URL("../../../shared/vectors/raft", import.meta.url).pathname);
}

/**
 * Returns the files that end in `.txt`, in all subfolders, in order; undefined if there are none.
 */
export function findScenarios(folder: string): string[] | undefined {
  const found: string[] = [];
  const visit = (path: string): void => {
    for (const entry of Deno.readDirSync(`${folder}/${path}`)) {
      if (entry.isDirectory) visit(`${path}${entry.name}/`);
      else if (entry.name.endsWith(".txt")) found.push(path + entry.name);
    }
  };
  try {
    visit("");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  return found.length === 0 ? undefined : found.sort();
}
