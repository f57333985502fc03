/** The version of this program, equal to that in `package.json`. */
export const VERSION = "0.2.0";
