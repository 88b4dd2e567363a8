import { useId } from "react";

interface SegmentsProps<V extends string> {
  label: string;
  value: V;
  onChange: (value: V) => void;
  options: readonly (readonly [value: V, name: string])[];
}

/** A choice between a few values, shown side by side. Radio buttons underneath, so arrow keys work. */
export function Segments<V extends string>({ label, value, onChange, options }: SegmentsProps<V>) {
  const name = useId();
  return (
    <fieldset className="segments">
      <legend className="hidden">{label}</legend>
      {options.map(([option, text]) => (
        <label key={option} className={option === value ? "chosen" : undefined}>
          <input type="radio" name={name} checked={option === value} onChange={() => onChange(option)} />
          {text}
        </label>
      ))}
    </fieldset>
  );
}
