import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { artifactAddress, readArtifact } from "../api/artifact";
import { count } from "../format/number";
import { CopyButton } from "../part/Copy";
import { Icon } from "../part/Icon";
import { Failure, Loading } from "../part/Notes";
import { Segments } from "../part/Segments";
import { readDelimited } from "../plots/delimited";
import { isPicture } from "../plots/listing";

/** Bytes of a text that are shown; the rest is one click away as a download. */
const LIMIT = 600_000;
const MOST_ROWS = 500;
const BINARY = /\.(onnx|pkl|pickle|joblib|parquet|arrow|feather|npy|npz|pt|pth|ckpt|safetensors|h5|bin|zip|gz|tar|zst|ubj|skops|db|sqlite|pdf)$/i;

export function Preview({ runId, path }: { runId: string; path: string }) {
  const address = artifactAddress(runId, path);
  return (
    <section aria-label={path}>
      <div className="preview-head">
        <h2 title={path}>{path}</h2>
        <CopyButton text={path} label="Copy the path" />
        <a className="button small" href={address} download>
          <Icon name="download" /> Download
        </a>
      </div>
      {isPicture(path) ? (
        <div className="picture">
          <img src={address} alt={path} />
        </div>
      ) : BINARY.test(path) ? (
        <p className="muted">This kind of file has no preview.</p>
      ) : (
        <TextPreview runId={runId} path={path} />
      )}
    </section>
  );
}

function TextPreview({ runId, path }: { runId: string; path: string }) {
  const file = useQuery({
    queryKey: ["artifact-text", runId, path],
    queryFn: ({ signal }) => readArtifact(runId, path, LIMIT, signal),
  });
  if (file.isPending) return <Loading what={path} />;
  if (file.isError) return <Failure error={file.error} what="file" onRetry={() => void file.refetch()} />;
  const { text, cut, binary } = file.data;
  if (binary) return <p className="muted">This file is not text and has no preview.</p>;
  if (text === "") return <p className="muted">The file is empty.</p>;
  return (
    <>
      {cut && <p className="muted">The beginning of the file; download it to see all.</p>}
      {/\.(csv|tsv)$/i.test(path) ? (
        <TablePreview text={text} separator={/\.tsv$/i.test(path) ? "\t" : ","} cut={cut} />
      ) : /\.html?$/i.test(path) && !cut ? (
        <PagePreview text={text} />
      ) : (
        <pre className="text" tabIndex={0}>
          {/\.json$/i.test(path) && !cut ? prettyJson(text) : text}
        </pre>
      )}
    </>
  );
}

function prettyJson(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function TablePreview({ text, separator, cut }: { text: string; separator: "," | "\t"; cut: boolean }) {
  const table = useMemo(() => readDelimited(text, separator), [text, separator]);
  const rows = table.rows.slice(0, MOST_ROWS);
  const partial = cut || rows.length < table.rows.length;
  return (
    <>
      <p className="muted">
        {partial ? `The first ${count(rows.length, "row")}` : count(rows.length, "row")}, {count(table.columns.length, "column")}
      </p>
      <div className="scroll-x data-table" tabIndex={0} role="group" aria-label="Table">
        <table>
          <thead>
            <tr>
              {table.columns.map((name, index) => (
                <th key={index} scope="col">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row, index) => (
              <tr key={index}>
                {row.map((cell, at) => (
                  <td key={at}>{cell}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

/** Allows nothing but the page's own text, styles and embedded pictures: no script runs and nothing is fetched. */
const POLICY = `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">`;

/** An HTML artifact as its source; on request drawn in a frame that is cut off from this page and from the network. */
function PagePreview({ text }: { text: string }) {
  const [view, setView] = useState<"source" | "drawn">("source");
  return (
    <>
      <Segments
        label="View"
        value={view}
        onChange={setView}
        options={[
          ["source", "Source"],
          ["drawn", "Page, without scripts"],
        ]}
      />
      {view === "source" ? (
        <pre className="text" tabIndex={0}>
          {text}
        </pre>
      ) : (
        <iframe className="page-frame" title="The page, without scripts" sandbox="" srcDoc={POLICY + text} />
      )}
    </>
  );
}
