import { useCallback, useId, useRef, useState, type FormEvent, type KeyboardEvent } from "react";
import { ApiError } from "../api/client";
import { Dialog } from "../part/Dialog";
import { Icon } from "../part/Icon";
import { useKey } from "../shell/keys";
import { completions, type Completion } from "./complete";
import type { KnownKeys } from "./column";
import { readFilterFault } from "./filter";

interface FilterBoxProps {
  /** The filter in force. */
  filter: string;
  onFilter: (filter: string) => void;
  error: unknown;
  keys: KnownKeys;
}

const EXAMPLES: [filter: string, meaning: string][] = [
  ["metrics.accuracy > 0.9", "a metric's latest value"],
  ["params.max_depth = '12'", "a parameter; its value in quotes"],
  ["metrics.accuracy > 0.8 AND params.seed != '42'", "several conditions, joined by AND"],
  ["attributes.status = 'FAILED'", "runs that failed; also RUNNING, FINISHED, KILLED"],
  ["attributes.run_name LIKE 'calm%'", "part of the name; ILIKE ignores case"],
  ["tags.`mlflow.user` = 'ana'", "a tag; names with odd letters in backticks"],
  ["dataset.name = 'data/raw.csv'", "runs that read this data"],
];

/** The filter in MLflow's grammar, with completion of keys and the server's complaint shown in place. */
export function FilterBox({ filter, onFilter, error, keys }: FilterBoxProps) {
  // The text is the user's until they press Enter; a filter from elsewhere (the address, Back) replaces it.
  const [draft, setDraft] = useState({ text: filter, from: filter });
  const text = draft.from === filter ? draft.text : filter;
  const setText = (next: string) => setDraft({ text: next, from: filter });
  const input = useRef<HTMLInputElement>(null);
  const [helpOpen, setHelpOpen] = useState(false);
  const [offers, setOffers] = useState<Completion[]>([]);
  const [active, setActive] = useState(-1);
  const faultId = useId();
  const listId = useId();
  useKey("/", useCallback(() => input.current?.focus(), []));

  const fault = error instanceof ApiError && error.status === 400 ? readFilterFault(filter, error.message) : undefined;

  const offer = (value: string, caret: number) => {
    setOffers(completions(value, caret, keys));
    setActive(-1);
  };
  const accept = (chosen: Completion) => {
    setText(chosen.text);
    setOffers([]);
    requestAnimationFrame(() => {
      input.current?.focus();
      input.current?.setSelectionRange(chosen.caret, chosen.caret);
      // A group such as `metrics.` is followed by its keys.
      if (chosen.text.charAt(chosen.caret - 1) === ".") offer(chosen.text, chosen.caret);
    });
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setOffers([]);
    onFilter(text.trim());
  };
  const onKeyDown = (event: KeyboardEvent<HTMLInputElement>) => {
    const chosen = offers[active];
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (offers.length === 0) {
        if (event.key === "ArrowDown") offer(text, event.currentTarget.selectionStart ?? text.length);
        return;
      }
      event.preventDefault();
      const step = event.key === "ArrowDown" ? 1 : -1;
      setActive((active + step + offers.length + (active < 0 && step < 0 ? 1 : 0)) % offers.length);
    } else if ((event.key === "Enter" || event.key === "Tab") && chosen !== undefined) {
      event.preventDefault();
      accept(chosen);
    } else if (event.key === "Escape") {
      if (offers.length > 0) setOffers([]);
      else input.current?.blur();
    }
  };

  return (
    <div className="filter">
      <form role="search" aria-label="Filter runs" onSubmit={submit} className={`filter-form ${fault ? "wrong" : ""}`}>
        <Icon name="filter" />
        <input
          ref={input}
          type="text"
          role="combobox"
          aria-label="Filter"
          aria-expanded={offers.length > 0}
          aria-controls={listId}
          aria-activedescendant={active >= 0 ? `${listId}-${active}` : undefined}
          aria-autocomplete="list"
          aria-invalid={fault !== undefined}
          aria-describedby={fault ? faultId : undefined}
          placeholder="metrics.accuracy > 0.8 AND params.seed = '42'"
          value={text}
          onChange={(event) => {
            setText(event.target.value);
            offer(event.target.value, event.target.selectionStart ?? event.target.value.length);
          }}
          onBlur={() => setOffers([])}
          onKeyDown={onKeyDown}
          autoCapitalize="off"
          autoComplete="off"
          autoCorrect="off"
          spellCheck={false}
        />
        {text !== "" && (
          <button
            type="button"
            className="icon-button small"
            aria-label="Clear the filter"
            title="Clear the filter"
            onClick={() => {
              setText("");
              onFilter("");
              input.current?.focus();
            }}
          >
            <Icon name="close" size={14} />
          </button>
        )}
        <button
          type="button"
          className="icon-button small"
          aria-label="Help with filters"
          title="Help with filters"
          onClick={() => setHelpOpen(true)}
        >
          <Icon name="help" />
        </button>
        <kbd className="filter-key" aria-hidden="true">
          /
        </kbd>
        <ul id={listId} role="listbox" aria-label="Keys" className="offers" hidden={offers.length === 0}>
          {offers.map((entry, index) => (
            <li
              key={entry.label}
              id={`${listId}-${index}`}
              role="option"
              aria-selected={index === active}
              // The press must not take the focus from the field before the click arrives.
              onMouseDown={(event) => event.preventDefault()}
              onClick={() => accept(entry)}
            >
              {entry.label}
            </li>
          ))}
        </ul>
      </form>
      {fault && (
        <div className="filter-fault" id={faultId} role="alert">
          <p>{fault.sentence}</p>
          {fault.place && (
            <pre aria-hidden="true">
              {filter.slice(0, fault.place.start)}
              <mark>{filter.slice(fault.place.start, fault.place.end) || " "}</mark>
              {filter.slice(fault.place.end)}
              {"\n"}
              {" ".repeat(fault.place.start)}
              <span className="caret">{"^".repeat(Math.max(1, fault.place.end - fault.place.start))}</span>
            </pre>
          )}
          {fault.detail && <pre>{fault.detail}</pre>}
        </div>
      )}
      <Dialog open={helpOpen} onClose={() => setHelpOpen(false)} title="Filters">
        <p className="muted">
          Conditions on <code>metrics.</code>, <code>params.</code>, <code>tags.</code>, <code>attributes.</code> and{" "}
          <code>dataset.</code>, joined by <code>AND</code>. Try one:
        </p>
        <ul className="examples">
          {EXAMPLES.map(([example, meaning]) => (
            <li key={example}>
              <button
                type="button"
                className="example"
                onClick={() => {
                  setHelpOpen(false);
                  setText(example);
                  onFilter(example);
                }}
              >
                <code>{example}</code>
                <span>{meaning}</span>
              </button>
            </li>
          ))}
        </ul>
      </Dialog>
    </div>
  );
}
