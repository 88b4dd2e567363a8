// Numbers as people read them. The exact value always stays within reach (a title, the compare table).

const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 0, useGrouping: true });

/** A metric's value in about four significant digits: 0.931, 12.346, 1.2e-7, 48,213. */
export function shortNumber(value: number): string {
  return written(value, trimZeros);
}

/** The same for a column of numbers, where digits stand below digits: 0.9310 below 0.9305; whole numbers stay bare. */
export function columnNumber(value: number): string {
  return written(value, Number.isInteger(value) ? trimZeros : (text) => text);
}

function written(value: number, finish: (text: string) => string): string {
  if (Number.isNaN(value)) return "NaN";
  if (value >= Number.MAX_VALUE || value === Number.POSITIVE_INFINITY) return "∞";
  if (value <= -Number.MAX_VALUE || value === Number.NEGATIVE_INFINITY) return "−∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  let text: string;
  if (size >= 1e9 || size < 1e-4) text = trimExponent(value.toExponential(3));
  else if (size >= 10_000) text = plain.format(value);
  else if (size >= 1) text = finish(value.toFixed(size >= 1000 ? 1 : size >= 100 ? 2 : 3));
  else text = finish(value.toFixed(size >= 0.1 ? 4 : size >= 0.01 ? 5 : 6));
  return text.replace(/^-/, "−");
}

function trimZeros(text: string): string {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

function trimExponent(text: string): string {
  const [mantissa = "", exponent = ""] = text.split("e");
  return `${trimZeros(mantissa)}e${exponent.replace("+", "")}`;
}

/** The value without loss, for titles and copying. */
export function exactNumber(value: number): string {
  return String(value);
}

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

/** Bytes in decimal units. */
export function bytes(count: number): string {
  let size = count;
  let unit = 0;
  while (size >= 1000 && unit < UNITS.length - 1) {
    size /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || size >= 100 ? 0 : 1;
  return `${size.toFixed(digits)} ${UNITS[unit] ?? ""}`;
}

/** `1 run`, `2 runs`. */
export function count(n: number, one: string, many = `${one}s`): string {
  return `${plain.format(n)} ${n === 1 ? one : many}`;
}
