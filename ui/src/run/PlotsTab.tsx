import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { artifactAddress, readArtifact, readIfThere } from "../api/artifact";
import type { Run } from "../api/run";
import { LineChart } from "../chart/LineChart";
import { Command } from "../part/Copy";
import { Empty, Failure, Loading } from "../part/Notes";
import { Bars } from "../plots/Bars";
import { ConfusionMatrix } from "../plots/ConfusionMatrix";
import { countConfusion } from "../plots/confusion";
import { readDelimited, readRecords, type TextTable } from "../plots/delimited";
import { PLOTS_FILE, isPicture, readPlots, type PlotEntry } from "../plots/listing";
import { plotBars, plotSeries } from "../plots/series";

const LIMIT = 32_000_000;
const MOST_BARS = 60;

/** The run's plots, or none when the run has no list of them. */
async function loadPlots(runId: string, signal: AbortSignal): Promise<PlotEntry[]> {
  const text = await readIfThere(runId, PLOTS_FILE, LIMIT, signal);
  return text === null ? [] : readPlots(text);
}

export function PlotsTab({ run }: { run: Run }) {
  const plots = useQuery({
    queryKey: ["plots", run.id],
    queryFn: ({ signal }) => loadPlots(run.id, signal),
  });
  if (plots.isPending) return <Loading what="plots" />;
  if (plots.isError) return <Failure error={plots.error} what="plots" onRetry={() => void plots.refetch()} />;
  if (plots.data.length === 0) {
    return (
      <Empty title="No plots">
        <p>
          Name plots under <code>plots:</code> in <code>dvc.yaml</code>; the next run of the pipeline brings them here.
        </p>
        <Command>matraz repro</Command>
      </Empty>
    );
  }
  return (
    <div className="plot-grid">
      {plots.data.map((plot) => (
        <Plot key={plot.id} runId={run.id} plot={plot} />
      ))}
    </div>
  );
}

async function loadTable(runId: string, file: string, signal: AbortSignal): Promise<TextTable> {
  const { text, cut, binary } = await readArtifact(runId, file, LIMIT, signal);
  if (binary) throw new Error(`${file} is not text`);
  if (cut) throw new Error(`${file} is larger than 32 MB; look at it under Artifacts`);
  if (/\.tsv$/i.test(file)) return readDelimited(text, "\t");
  if (!/\.json$/i.test(file)) return readDelimited(text);
  const table = readRecords(JSON.parse(text));
  if (table === undefined) throw new Error(`${file} holds no list of records`);
  return table;
}

function Plot({ runId, plot }: { runId: string; plot: PlotEntry }) {
  const picture = isPicture(plot.file);
  const wide = plot.template.startsWith("confusion");
  return (
    <figure className={`chart-card ${wide ? "wide" : ""}`}>
      <figcaption>
        <span title={plot.file}>{plot.title}</span>
        <a className="quiet" href={artifactAddress(runId, plot.file)} download>
          {plot.file}
        </a>
      </figcaption>
      {picture ? <img src={artifactAddress(runId, plot.file)} alt={plot.title} /> : <DataPlot runId={runId} plot={plot} />}
    </figure>
  );
}

function DataPlot({ runId, plot }: { runId: string; plot: PlotEntry }) {
  const table = useQuery({
    queryKey: ["plot", runId, plot.file],
    queryFn: ({ signal }) => loadTable(runId, plot.file, signal),
    retry: false,
  });
  if (table.isPending) return <Loading what={plot.title} rows={4} />;
  if (table.isError) {
    return (
      <p className="error-text" role="alert">
        {table.error.message}
      </p>
    );
  }
  return <Drawn plot={plot} table={table.data} />;
}

function Drawn({ plot, table }: { plot: PlotEntry; table: TextTable }) {
  const drawing = useMemo(() => {
    if (plot.template.startsWith("confusion")) {
      const confusion = countConfusion(table, plot.y[0] ?? "actual", plot.x ?? "predicted");
      return confusion && <ConfusionMatrix confusion={confusion} title={plot.title} />;
    }
    if (plot.template.startsWith("bar_horizontal")) {
      const bars = plotBars(table, plot);
      if (bars === undefined) return undefined;
      return (
        <>
          <Bars bars={bars.slice(0, MOST_BARS)} label={plot.title} />
          {bars.length > MOST_BARS && <p className="muted">{bars.length - MOST_BARS} more in the file</p>}
        </>
      );
    }
    const series = plotSeries(table, plot);
    return (
      series && (
        <LineChart
          x={series.x}
          lines={series.lines}
          xName={plot.xLabel ?? series.xName}
          scatter={plot.template === "scatter"}
          height={260}
          label={`${plot.title}: ${series.lines.map((line) => line.name).join(", ")} by ${series.xName}`}
        />
      )
    );
  }, [plot, table]);
  if (drawing === undefined) {
    return (
      <p className="error-text" role="alert">
        {plot.file} lacks the columns that this plot names; it has {table.columns.join(", ") || "none"}.
      </p>
    );
  }
  return drawing;
}
