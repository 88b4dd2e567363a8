import { exactNumber, shortNumber } from "../format/number";
import type { Bar } from "./series";

/** Horizontal bars with their numbers: readable as a table by those who do not see the bars. */
export function Bars({ bars, label, best }: { bars: readonly Bar[]; label: string; best?: number }) {
  const most = Math.max(0, ...bars.map((bar) => bar.value));
  const least = Math.min(0, ...bars.map((bar) => bar.value));
  const span = most - least || 1;
  return (
    <table className="bars" aria-label={label}>
      <tbody>
        {bars.map((bar, index) => (
          <tr key={index} className={index === best ? "best" : undefined}>
            <th scope="row" title={bar.name}>
              {bar.name}
            </th>
            <td className="bar-cell" aria-hidden="true">
              <span
                style={{
                  marginInlineStart: `${((Math.min(0, bar.value) - least) / span) * 100}%`,
                  width: `${(Math.abs(bar.value) / span) * 100}%`,
                }}
              />
            </td>
            <td className="number" title={exactNumber(bar.value)}>
              {shortNumber(bar.value)}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
