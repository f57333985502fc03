/** Sizes as people read them. */

const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** Formats a size: `812 B`, `4.1 MiB`. */
export function formatBytes(bytes: number): string {
  let amount = bytes;
  let unit = 0;
  while (amount >= 1024 && unit < BYTE_UNITS.length - 1) {
    amount /= 1024;
    unit++;
  }
  return `${unit === 0 ? amount : amount.toFixed(1)} ${BYTE_UNITS[unit]}`;
}
