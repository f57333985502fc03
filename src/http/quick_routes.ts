/**
 * Finds the route of a request that may be answered at once. Only paths are matched that the router
 * takes as they are, so that both find the same route with the same parameters: no query, and no
 * escape but that of `@`.
 */
import { HTTP_QUICK_PATHS_MAX } from "../base/limits.ts";
import { checkedPath, type HttpRoute } from "./route.ts";

/** A route that answers at once, with the parameters of a request. */
export interface QuickMatch {
  readonly route: HttpRoute;
  /** Checked by the schema of the route. */
  readonly path: unknown;
}

/** A route with parameters. */
interface Pattern {
  readonly route: HttpRoute;
  readonly pattern: RegExp;
}

const SEGMENT = "[A-Za-z0-9](?:[\\w.@-]|%40)*";

/** The routes that answer at once. */
export class QuickRoutes {
  /** The matches of paths with parameters, in the order in which they were found. */
  readonly #known = new Map<string, QuickMatch>();
  readonly #fixed = new Map<string, HttpRoute>();
  readonly #patterns: Pattern[] = [];

  /** @param routes all routes, in the order in which they are tried. */
  constructor(routes: readonly HttpRoute[]) {
    for (const route of routes) {
      if (route.atOnce === undefined) continue;
      if (route.path.includes("{")) this.#patterns.push({ route, pattern: patternOf(route.path) });
      else this.#fixed.set(route.path, route);
    }
  }

  /**
   * Returns the route of a path.
   *
   * @param path with its query, if it has one.
   * @throws HttpError BadRequest if a parameter is not valid.
   */
  find(path: string): QuickMatch | undefined {
    const fixed = this.#fixed.get(path);
    if (fixed !== undefined) return { route: fixed, path: checkedPath(fixed, {}) };
    const known = this.#known.get(path);
    if (known !== undefined) return known;
    const found = this.#match(path);
    if (found !== undefined) this.#keep(path, found);
    return found;
  }

  #match(path: string): QuickMatch | undefined {
    for (const { route, pattern } of this.#patterns) {
      const { groups } = pattern.exec(path) ?? {};
      if (groups === undefined) continue;
      const found: Record<string, string> = {};
      for (const [name, text] of Object.entries(groups)) found[name] = text.replaceAll("%40", "@");
      return { route, path: checkedPath(route, found) };
    }
    return undefined;
  }

  #keep(path: string, match: QuickMatch): void {
    if (this.#known.size >= HTTP_QUICK_PATHS_MAX) {
      const [oldest] = this.#known.keys();
      this.#known.delete(oldest!);
    }
    this.#known.set(path, match);
  }
}

function patternOf(path: string): RegExp {
  const parts = path.split(/\{(\w+)\}/);
  // Every second part is the name of a parameter.
  const source = parts.map((part, at) =>
    at % 2 === 0 ? part.replaceAll(".", "\\.") : `(?<${part}>${SEGMENT})`
  );
  return new RegExp(`^${source.join("")}$`);
}
