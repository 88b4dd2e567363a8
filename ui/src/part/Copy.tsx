import { useEffect, useState } from "react";
import { Icon } from "./Icon";

/** Writes to the clipboard, also where the page is served over plain http and the modern way is closed. */
async function writeClipboard(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.style.position = "fixed";
    area.style.opacity = "0";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

export function CopyButton({ text, label }: { text: string; label: string }) {
  const [state, setState] = useState<"idle" | "done" | "failed">("idle");
  useEffect(() => {
    if (state === "idle") return;
    const timer = setTimeout(() => setState("idle"), 1600);
    return () => clearTimeout(timer);
  }, [state]);
  const name = state === "done" ? "Copied" : state === "failed" ? "Copying is not allowed here" : label;
  return (
    <button
      type="button"
      className="icon-button small"
      aria-label={name}
      title={name}
      onClick={async (event) => {
        event.preventDefault();
        event.stopPropagation();
        setState((await writeClipboard(text)) ? "done" : "failed");
      }}
    >
      <Icon name={state === "done" ? "check" : state === "failed" ? "close" : "copy"} size={14} />
    </button>
  );
}

/** A command or a line of code to type, with a button that copies it. */
export function Command({ children }: { children: string }) {
  return (
    <span className="command">
      <code>{children}</code>
      <CopyButton text={children} label={`Copy: ${children}`} />
    </span>
  );
}

/** An identifier cut to its first characters; the whole of it in the title and for copying. */
export function ShortId({ id, length = 8, what }: { id: string; length?: number; what: string }) {
  return (
    <span className="short-id">
      <code title={id}>{id.slice(0, length)}</code>
      <CopyButton text={id} label={`Copy ${what}`} />
    </span>
  );
}
