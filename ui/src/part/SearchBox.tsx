import { useCallback, useEffect, useRef, useState } from "react";
import { useKey } from "../shell/keys";
import { Icon } from "./Icon";

const PAUSE = 200;

/** A search field that reports after a short pause in the typing. The key `/` goes to it. */
export function SearchBox({ value, onChange, label }: { value: string; onChange: (value: string) => void; label: string }) {
  const [text, setText] = useState(value);
  // A value that did not come from here (the address, Back) replaces the text; our own report coming back does not.
  const [known, setKnown] = useState(value);
  if (value !== known) {
    setKnown(value);
    setText(value);
  }
  const input = useRef<HTMLInputElement>(null);
  useKey("/", useCallback(() => input.current?.focus(), []));
  useEffect(() => {
    if (text === value) return;
    const timer = setTimeout(() => {
      setKnown(text);
      onChange(text);
    }, PAUSE);
    return () => clearTimeout(timer);
  }, [text, value, onChange]);
  return (
    <form role="search" className="filter-form search" onSubmit={(event) => event.preventDefault()}>
      <Icon name="search" />
      <input
        ref={input}
        type="search"
        aria-label={label}
        placeholder={label}
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape" && text === "") input.current?.blur();
        }}
        autoComplete="off"
        spellCheck={false}
      />
      <kbd className="filter-key" aria-hidden="true">
        /
      </kbd>
    </form>
  );
}
