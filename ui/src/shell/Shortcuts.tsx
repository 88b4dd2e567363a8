import { Dialog } from "../part/Dialog";

const KEYS: [keys: string[], meaning: string][] = [
  [["/"], "go to the filter or search box"],
  [["j", "↓"], "next row"],
  [["k", "↑"], "previous row"],
  [["Enter"], "open the row"],
  [["x"], "select the row"],
  [["→", "←"], "show or hide the stages of a pipeline run"],
  [["c"], "compare the selected runs"],
  [["?"], "this list"],
  [["Esc"], "close a dialog, leave a field"],
];

export function Shortcuts({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Dialog open={open} onClose={onClose} title="Keyboard shortcuts">
      <dl className="shortcuts">
        {KEYS.map(([keys, meaning]) => (
          <div key={meaning}>
            <dt>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
