import { useState, type ReactNode } from "react";
import { count } from "../format/number";

interface KeyTableProps {
  title: string;
  rows: { key: string; value: ReactNode; numeric?: boolean }[];
  empty: string;
}

/** From this many rows on, a field narrows them down. */
const SEARCHABLE = 20;

/** Keys and values under a heading. */
export function KeyTable({ title, rows, empty }: KeyTableProps) {
  const [search, setSearch] = useState("");
  const wanted = search.trim().toLowerCase();
  const shown = wanted === "" ? rows : rows.filter((row) => row.key.toLowerCase().includes(wanted));
  return (
    <section className="panel" aria-label={title}>
      <h2>
        {title} {rows.length > 0 && <span className="count">{rows.length}</span>}
      </h2>
      {rows.length >= SEARCHABLE && (
        <input
          type="search"
          className="field"
          aria-label={`Search ${title.toLowerCase()}`}
          placeholder={`Search ${count(rows.length, "entry", "entries")}`}
          value={search}
          onChange={(event) => setSearch(event.target.value)}
        />
      )}
      {rows.length === 0 ? (
        <p className="muted">{empty}</p>
      ) : (
        <table className="keys">
          <tbody>
            {shown.map((row) => (
              <tr key={row.key}>
                <th scope="row" title={row.key}>
                  {row.key}
                </th>
                <td className={row.numeric ? "number" : undefined}>{row.value}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}
