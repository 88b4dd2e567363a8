import { useState } from "react";
import { count } from "../format/number";
import { Segments } from "../part/Segments";
import type { Confusion } from "./confusion";

/** A heat map of actual against predicted classes. Shades follow the share of the actual class. */
export function ConfusionMatrix({ confusion, title }: { confusion: Confusion; title: string }) {
  const [unit, setUnit] = useState<"count" | "share">("count");
  const { labels, counts, total, agreement } = confusion;
  return (
    <div className="confusion">
      <div className="plot-tools">
        <span className="muted">
          {count(total, "sample")}, {(agreement * 100).toFixed(1)} % on the diagonal
        </span>
        <Segments
          label="Unit of the cells"
          value={unit}
          onChange={setUnit}
          options={[
            ["count", "Count"],
            ["share", "Row %"],
          ]}
        />
      </div>
      <div className="scroll-x" tabIndex={0} role="group" aria-label={title}>
        <table aria-label={`${title}: rows are actual classes, columns predicted ones`}>
          <thead>
            <tr>
              <td className="axis-corner">
                <span className="axis-y">actual ↓</span> <span className="axis-x">predicted →</span>
              </td>
              {labels.map((label) => (
                <th key={label} scope="col">
                  <span>{label}</span>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {labels.map((label, actual) => {
              const row = counts[actual] ?? [];
              const sum = row.reduce((all, value) => all + value, 0);
              return (
                <tr key={label}>
                  <th scope="row">{label}</th>
                  {row.map((value, predicted) => {
                    const share = sum === 0 ? 0 : value / sum;
                    return (
                      <td
                        key={predicted}
                        className={`${actual === predicted ? "right" : "wrong"} ${share > 0.7 ? "strong" : ""} ${value === 0 ? "zero" : ""}`}
                        style={{ "--share": share } as React.CSSProperties}
                        title={`${label} predicted as ${labels[predicted]}: ${value} of ${sum} (${(share * 100).toFixed(1)} %)`}
                      >
                        {unit === "count" ? value : `${Math.round(share * 100)}`}
                      </td>
                    );
                  })}
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </div>
  );
}
