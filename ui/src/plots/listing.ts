/** One plot of a run, as `matraz/plots.json` lists it. */
export interface PlotEntry {
  id: string;
  /** Artifact path of the data, or of the picture. */
  file: string;
  /** DVC's template name: `confusion`, `bar_horizontal`, `linear`, `scatter` … */
  template: string;
  x?: string;
  /** Several columns become several lines. */
  y: string[];
  title: string;
  xLabel?: string;
  yLabel?: string;
}

export const PLOTS_FILE = "matraz/plots.json";

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function names(value: unknown): string[] {
  if (Array.isArray(value)) return value.filter((item): item is string => typeof item === "string");
  const one = text(value);
  return one === undefined ? [] : [one];
}

/** Reads the list. Entries without a file are dropped; a file that is no list is an error in words. */
export function readPlots(json: string): PlotEntry[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch {
    throw new Error(`${PLOTS_FILE} of this run is not JSON`);
  }
  if (!Array.isArray(parsed)) throw new Error(`${PLOTS_FILE} of this run does not hold a list`);
  const plots: PlotEntry[] = [];
  for (const item of parsed as Record<string, unknown>[]) {
    const file = text(item?.file);
    if (file === undefined) continue;
    const id = text(item.id) ?? file;
    plots.push({
      id,
      file,
      template: text(item.template) ?? "linear",
      x: text(item.x),
      y: names(item.y),
      title: text(item.title) ?? nameOf(file),
      xLabel: text(item.x_label),
      yLabel: text(item.y_label),
    });
  }
  return plots;
}

/** `plots/roc_curve.csv` is called `roc curve` when nobody gave it a title. */
function nameOf(file: string): string {
  const name = file.slice(file.lastIndexOf("/") + 1);
  return name.replace(/\.[^.]+$/, "").replaceAll("_", " ") || file;
}

const PICTURES = /\.(png|jpe?g|gif|webp|svg|bmp|avif)$/i;

export function isPicture(path: string): boolean {
  return PICTURES.test(path);
}
