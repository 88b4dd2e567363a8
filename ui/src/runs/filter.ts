import { PARENT_TAG } from "../api/run";

const NO_PARENT = `tags.\`${PARENT_TAG}\` IS NULL`;

/** The user's filter, and where the table is nested, without runs that belong below another. */
export function composeFilter(filter: string, nested: boolean): string | undefined {
  const own = filter.trim();
  if (!nested) return own === "" ? undefined : own;
  return own === "" ? NO_PARENT : `${own} AND ${NO_PARENT}`;
}

/** A refused filter, ready to be shown. */
export interface FilterFault {
  /** What is wrong, in one sentence. */
  sentence: string;
  /** Further lines of the server, in its own layout. */
  detail?: string;
  /** The part of the filter it is about, from `start` to before `end`. */
  place?: { start: number; end: number };
}

const CARET_LINE = /^(?<gutter>\s*(?:\d+\s*)?[|│]?\s*)(?<carets>\^[\^~-]*)\s*(?<say>.*)$/;

/**
 * Reads the server's message about a filter. A line of carets below the echoed filter gives the place; without one the
 * last quoted piece that occurs in the filter does, since MLflow's messages quote what they stumbled over.
 */
export function readFilterFault(filter: string, message: string): FilterFault {
  const lines = message.split("\n").map((line) => line.trimEnd());
  const [first = "", ...rest] = lines;
  const caretAt = rest.findIndex((line) => CARET_LINE.test(line) && line.includes("^"));
  if (caretAt >= 0) {
    const caretLine = rest[caretAt] ?? "";
    const echo = (caretAt === 0 ? first : rest[caretAt - 1]) ?? "";
    const offset = echo.indexOf(filter.split("\n")[0] ?? "");
    const caret = caretLine.indexOf("^");
    const width = /\^[\^~-]*/.exec(caretLine)?.[0].length ?? 1;
    const say = CARET_LINE.exec(caretLine)?.groups?.say ?? "";
    const others = rest.filter((_, index) => index !== caretAt && index !== caretAt - 1).filter((line) => line.trim() !== "");
    const sentence = caretAt === 0 ? say : first;
    if (offset >= 0 && caret >= offset) {
      const start = Math.min(caret - offset, filter.length);
      const end = width > 1 ? Math.min(start + width, filter.length + 1) : wordEnd(filter, start);
      const detail = [caretAt === 0 ? "" : say, ...others].filter((line) => line !== "").join("\n");
      return { sentence: sentence || first, detail: detail || undefined, place: { start, end } };
    }
    return { sentence: first, detail: rest.join("\n") };
  }
  const detail = rest.join("\n").trim();
  return { sentence: first, detail: detail === "" ? undefined : detail, place: quotedPlace(filter, first) };
}

/** A single caret points at the start of a word, a number or a quoted text: all of it is marked. */
function wordEnd(filter: string, start: number): number {
  const word = /^(?:'[^']*'|"[^"]*"|`[^`]*`|[\w.]+|[<>=!]+)/.exec(filter.slice(start));
  return start + (word?.[0].length ?? 1);
}

function quotedPlace(filter: string, sentence: string): FilterFault["place"] {
  // A list of what would have been right is no clue to what is wrong.
  const said = sentence.split(/valid (?:values|operators|keys|comparators)/i)[0] ?? sentence;
  const quoted = [...said.matchAll(/'([^']+)'|"([^"]+)"|`([^`]+)`/g)].map((match) => match[1] ?? match[2] ?? match[3] ?? "");
  const found = /(?:found|got value|got)\s+(\S+)$/i.exec(said)?.[1];
  if (found !== undefined) quoted.push(found);
  for (const piece of quoted.reverse()) {
    const start = filter.lastIndexOf(piece);
    if (start >= 0) return { start, end: start + piece.length };
  }
  return undefined;
}
