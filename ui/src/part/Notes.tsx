import type { ReactNode } from "react";
import { ApiError } from "../api/client";

/** What stands where data would be, with the next thing to do. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <h2>{title}</h2>
      {children}
    </div>
  );
}

/** A failed call, in place of what it would have shown. */
export function Failure({ error, what, onRetry }: { error: unknown; what: string; onRetry?: () => void }) {
  const message = error instanceof Error ? error.message : String(error);
  const missing = error instanceof ApiError && error.missing;
  const unreachable = error instanceof ApiError && error.status === 0;
  return (
    <div className="failure" role="alert">
      <h2>{missing ? `There is no ${what} here` : `Could not load the ${what}`}</h2>
      <p>{message}</p>
      {unreachable && <p className="muted">Is the server still running? Start it again with <code>matraz ui</code>.</p>}
      {onRetry && !missing && (
        <button type="button" className="button" onClick={onRetry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** Grey bars in the shape of what is coming. Said once to screen readers. */
export function Loading({ rows = 5, what }: { rows?: number; what: string }) {
  return (
    <div className="loading" role="status" aria-label={`Loading ${what}`}>
      {Array.from({ length: rows }, (_, index) => (
        <span key={index} className="bar" style={{ width: `${92 - ((index * 17) % 45)}%` }} />
      ))}
    </div>
  );
}
