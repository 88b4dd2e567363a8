// Draws the charts of a page of plots. Everything it needs is in the page: it is opened as a file, without a server.
import embed, { type EmbedOptions, type VisualizationSpec } from "vega-embed";
import "./plots.css";

type Spec = Record<string, unknown> & { encoding?: Record<string, unknown> };

const dark = window.matchMedia("(prefers-color-scheme: dark)");

function look(): EmbedOptions["config"] {
  const [text, faint, line] = dark.matches ? ["#e6e6eb", "#a0a0ab", "#3a3a44"] : ["#1c1c21", "#5c5c66", "#e2e2e8"];
  const font = "system-ui, sans-serif";
  return {
    background: "transparent",
    font,
    axis: { labelColor: faint, titleColor: faint, gridColor: line, domainColor: line, tickColor: line, titleFontWeight: 500 },
    header: { labelColor: text, titleColor: faint },
    legend: { labelColor: text, titleColor: faint, orient: "bottom", columns: 2, labelLimit: 260 },
    title: { color: text },
    view: { stroke: "transparent" },
  };
}

/** Charts of one view are as wide as their place; rows and columns of views keep their width and are scrolled. */
function fitted(spec: Spec): Spec {
  const rest: Spec = { ...spec };
  delete rest.title;
  return hasSeveralViews(spec) || !("width" in spec) ? rest : { ...rest, width: "container", autosize: { type: "fit-x", contains: "padding" } };
}

function hasSeveralViews(spec: Spec): boolean {
  return "facet" in spec || isSet(spec.encoding?.column) || isSet(spec.encoding?.row);
}

function isSet(channel: unknown): boolean {
  return typeof channel === "object" && channel !== null && Object.keys(channel).length > 0;
}

async function draw(): Promise<void> {
  for (const section of document.querySelectorAll<HTMLElement>("section.plot")) {
    const place = section.querySelector<HTMLElement>(".chart");
    const source = section.querySelector("script");
    if (place === null || source === null) {
      continue;
    }
    const given = JSON.parse(source.textContent ?? "{}") as Spec;
    section.classList.toggle("wide", hasSeveralViews(given));
    const spec = fitted(given);
    try {
      const actions = { export: true, source: false, compiled: false, editor: false };
      await embed(place, spec as unknown as VisualizationSpec, { actions, renderer: "svg", config: look() });
    } catch (error) {
      place.classList.add("failed");
      place.textContent = `This chart cannot be drawn: ${error instanceof Error ? error.message : String(error)}`;
    }
  }
  document.body.dataset.drawn = "yes";
}

void draw();
dark.addEventListener("change", () => void draw());
