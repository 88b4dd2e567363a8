import { useQuery } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { listArtifacts, type Artifact } from "../api/artifact";
import type { Run } from "../api/run";
import { bytes } from "../format/number";
import { Command } from "../part/Copy";
import { Icon } from "../part/Icon";
import { Empty, Failure, Loading } from "../part/Notes";
import { Preview } from "./Preview";

const route = getRouteApi("/experiments/$experimentId/runs/$runId/{-$tab}");

function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function useFolder(runId: string, path: string) {
  return useQuery({
    queryKey: ["artifacts", runId, path],
    queryFn: ({ signal }) => listArtifacts(runId, path, signal),
  });
}

export function ArtifactsTab({ run }: { run: Run }) {
  const { path } = route.useSearch();
  const navigate = useNavigate();
  const root = useFolder(run.id, "");
  const select = (next: string) =>
    void navigate({
      to: "/experiments/$experimentId/runs/$runId/{-$tab}",
      params: { experimentId: run.experimentId, runId: run.id, tab: "artifacts" },
      search: { path: next },
      replace: path !== undefined,
    });
  if (root.isPending) return <Loading what="artifacts" />;
  if (root.isError) return <Failure error={root.error} what="artifacts" onRetry={() => void root.refetch()} />;
  if (root.data.length === 0) {
    return (
      <Empty title="No artifacts">
        <p>Outputs of the pipeline come here by themselves; a script adds files with</p>
        <Command>{'mlflow.log_artifact("report.txt")'}</Command>
      </Empty>
    );
  }
  return (
    <div className="artifacts">
      <nav className="tree" aria-label="Files">
        <Folder runId={run.id} entries={root.data} selected={path} onSelect={select} />
      </nav>
      <div className="preview" aria-live="polite">
        {path === undefined ? (
          <p className="muted">Choose a file to see what is in it.</p>
        ) : (
          <Preview key={path} runId={run.id} path={path} />
        )}
      </div>
    </div>
  );
}

interface FolderProps {
  runId: string;
  entries: readonly Artifact[];
  selected: string | undefined;
  onSelect: (path: string) => void;
}

function Folder({ runId, entries, selected, onSelect }: FolderProps) {
  return (
    <ul>
      {entries.map((entry) =>
        entry.isDir ? (
          <Branch key={entry.path} runId={runId} folder={entry} selected={selected} onSelect={onSelect} />
        ) : (
          <li key={entry.path}>
            <button
              type="button"
              className="tree-entry"
              aria-current={entry.path === selected ? "true" : undefined}
              onClick={() => onSelect(entry.path)}
              title={entry.path}
            >
              <Icon name="file" />
              <span>{baseName(entry.path)}</span>
              {entry.size !== undefined && <span className="size">{bytes(entry.size)}</span>}
            </button>
          </li>
        ),
      )}
    </ul>
  );
}

function Branch({ folder, ...rest }: Omit<FolderProps, "entries"> & { folder: Artifact }) {
  // The way to a file that the address names is open from the start.
  const [open, setOpen] = useState(rest.selected?.startsWith(`${folder.path}/`) ?? false);
  return (
    <li>
      <button type="button" className="tree-entry" aria-expanded={open} onClick={() => setOpen(!open)} title={folder.path}>
        <span className={`expander ${open ? "open" : ""}`}>
          <Icon name="chevron" size={12} />
        </span>
        <Icon name="folder" />
        <span>{baseName(folder.path)}</span>
      </button>
      {open && <Inside folder={folder} {...rest} />}
    </li>
  );
}

function Inside({ folder, ...rest }: Omit<FolderProps, "entries"> & { folder: Artifact }) {
  const inside = useFolder(rest.runId, folder.path);
  if (inside.isPending) return <p className="muted tree-note">…</p>;
  if (inside.isError) return <p className="error-text tree-note">{inside.error.message}</p>;
  if (inside.data.length === 0) return <p className="muted tree-note">empty</p>;
  return <Folder entries={inside.data} {...rest} />;
}
