/** A table of text: the header's names and the rows' cells. */
export interface TextTable {
  columns: string[];
  rows: string[][];
}

/**
 * Reads comma- or tab-separated values by RFC 4180: quoted cells may hold the separator, line ends and doubled quotes.
 * A short row is filled with empty cells, a byte-order mark is dropped.
 */
export function readDelimited(text: string, separator: "," | "\t" = ","): TextTable {
  const records: string[][] = [];
  let record: string[] = [];
  let cell = "";
  let quoted = false;
  let at = text.startsWith("\uFEFF") ? 1 : 0;
  const endRecord = () => {
    record.push(cell);
    cell = "";
    // A line with nothing on it is no record.
    if (record.length > 1 || record[0] !== "") records.push(record);
    record = [];
  };
  while (at < text.length) {
    const letter = text.charAt(at);
    if (quoted) {
      if (letter === '"' && text.charAt(at + 1) === '"') {
        cell += '"';
        at += 1;
      } else if (letter === '"') quoted = false;
      else cell += letter;
    } else if (letter === '"' && cell === "") quoted = true;
    else if (letter === separator) {
      record.push(cell);
      cell = "";
    } else if (letter === "\n") endRecord();
    else if (letter === "\r" && text.charAt(at + 1) === "\n") {
      endRecord();
      at += 1;
    } else cell += letter;
    at += 1;
  }
  if (cell !== "" || record.length > 0) endRecord();
  const [columns = [], ...rows] = records;
  for (const row of rows) while (row.length < columns.length) row.push("");
  return { columns, rows };
}

/** Rows of objects: a list, or the first list of objects found inside an object, as DVC looks for plot data. */
export function readRecords(value: unknown): TextTable | undefined {
  const list = firstList(value, 0);
  if (list === undefined) return undefined;
  const columns: string[] = [];
  for (const item of list) for (const key of Object.keys(item)) if (!columns.includes(key)) columns.push(key);
  return { columns, rows: list.map((item) => columns.map((column) => cellText(item[column]))) };
}

const DEEPEST = 4;

function firstList(value: unknown, depth: number): Record<string, unknown>[] | undefined {
  if (Array.isArray(value)) {
    const objects = value.filter((item): item is Record<string, unknown> => isObject(item));
    return objects.length > 0 ? objects : undefined;
  }
  if (!isObject(value) || depth >= DEEPEST) return undefined;
  for (const inner of Object.values(value)) {
    const found = firstList(inner, depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function cellText(value: unknown): string {
  if (value === undefined || value === null) return "";
  return typeof value === "string" ? value : typeof value === "object" ? JSON.stringify(value) : String(value);
}
