import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";

interface RunLinkProps {
  run: { id: string; experimentId: string; name?: string };
  /** `quiet` looks like text until it is pointed at. */
  quiet?: boolean;
  title?: string;
  children?: ReactNode;
}

/** A link to a run's page; its name when there is nothing else to show. */
export function RunLink({ run, quiet, title, children }: RunLinkProps) {
  return (
    <Link
      to="/experiments/$experimentId/runs/$runId/{-$tab}"
      params={{ experimentId: run.experimentId, runId: run.id, tab: undefined }}
      className={quiet ? "quiet" : undefined}
      title={title ?? run.name}
    >
      {children ?? run.name}
    </Link>
  );
}
