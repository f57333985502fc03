/** Processes whose wall clock is off, by Debian's package faketime. */
import { program, type Requirement } from "./requirement.ts";

/** The program that knows where its library lies. */
export const FAKETIME: Requirement<string> = program("faketime", "faketime");

/**
 * Returns the environment of a process whose wall clock is off, and whose monotonic clock is not.
 *
 * @param offset as faketime takes it, such as `+31d` or `-10m`.
 */
export async function clockOff(
  offset: string,
  faketime = FAKETIME.found,
): Promise<Record<string, string>> {
  return { ...await faked(faketime), FAKETIME: offset };
}

/**
 * Returns the environment of a process whose wall clock is off by what a file says at the time, as
 * {@link clockOff}: it is stepped within a second of each change of the file.
 */
export async function clockOfFile(
  path: string,
  faketime = FAKETIME.found,
): Promise<Record<string, string>> {
  return {
    ...await faked(faketime),
    FAKETIME_TIMESTAMP_FILE: path,
    FAKETIME_CACHE_DURATION: "1",
  };
}

async function faked(faketime: string | undefined): Promise<Record<string, string>> {
  if (faketime === undefined) throw new Error(FAKETIME.advice);
  const { stdout } = await new Deno.Command(faketime, {
    args: ["-f", "+0d", "printenv", "LD_PRELOAD"],
  }).output();
  const library = new TextDecoder().decode(stdout).trim();
  if (!library.includes("libfaketime")) throw new Error(`faketime names no library: ${library}`);
  return { LD_PRELOAD: library, FAKETIME_DONT_FAKE_MONOTONIC: "1" };
}
