import type { RunStatus } from "../api/run";
import { fullTime, timeAgo } from "../format/time";
import { useNow } from "./now";

const STATUS: Record<RunStatus, string> = {
  RUNNING: "Running",
  SCHEDULED: "Scheduled",
  FINISHED: "Finished",
  FAILED: "Failed",
  KILLED: "Killed",
};

/** A run's status: a shape and a colour, and the word where there is room. */
export function StatusMark({ status, word = false }: { status: RunStatus; word?: boolean }) {
  const name = STATUS[status];
  return (
    <span className={`status ${status.toLowerCase()}`} title={word ? undefined : name}>
      <svg width="10" height="10" viewBox="0 0 10 10" aria-hidden="true" focusable="false">
        {status === "FAILED" || status === "KILLED" ? (
          <path d="M2 2l6 6M8 2 2 8" />
        ) : status === "FINISHED" ? (
          <circle cx="5" cy="5" r="4" />
        ) : (
          <circle className="ring" cx="5" cy="5" r="3.4" />
        )}
      </svg>
      {word ? <span>{name}</span> : <span className="hidden">{name}</span>}
    </span>
  );
}

/** A moment as `3 h ago`, with the date in the title. */
export function Ago({ at }: { at: number | undefined }) {
  const now = useNow();
  if (at === undefined) return <span className="muted">–</span>;
  return (
    <time dateTime={new Date(at).toISOString()} title={fullTime(at)}>
      {timeAgo(at, now)}
    </time>
  );
}

/** An alias of a model version; `champion` stands out. */
export function AliasMark({ alias }: { alias: string }) {
  return <span className={`alias ${alias === "champion" ? "champion" : ""}`}>@{alias}</span>;
}

export function CachedMark() {
  return (
    <span className="chip" title="The outputs came from the run cache; the command was not run again">
      cached
    </span>
  );
}
