import { Link, Outlet, useRouterState } from "@tanstack/react-router";
import { useCallback, useEffect, useRef, useState } from "react";
import { Icon } from "../part/Icon";
import { Flask } from "./Flask";
import { Shortcuts } from "./Shortcuts";
import { useKey } from "./keys";
import { chooseTheme, useResolvedTheme, useTheme, type Theme } from "./theme";

const NEXT: Record<Theme, Theme> = { system: "light", light: "dark", dark: "system" };
const THEME_NAME: Record<Theme, string> = { system: "as the system", light: "light", dark: "dark" };

function ThemeButton() {
  const theme = useTheme();
  const shown = useResolvedTheme();
  return (
    <button
      type="button"
      className="icon-button"
      onClick={() => chooseTheme(NEXT[theme])}
      aria-label={`Colours: ${THEME_NAME[theme]}. Switch to ${THEME_NAME[NEXT[theme]]}`}
      title={`Colours: ${THEME_NAME[theme]}`}
    >
      <Icon name={theme === "system" ? "auto" : shown === "dark" ? "moon" : "sun"} />
    </button>
  );
}

/** Moves the focus to the new page's heading, so that a screen reader starts there and not at the old link. */
function useFocusOnNavigation(): void {
  const path = useRouterState({ select: (state) => state.resolvedLocation?.pathname });
  const first = useRef<string | undefined>(undefined);
  useEffect(() => {
    if (path === undefined) return;
    const before = first.current;
    first.current = path;
    if (before === undefined || before === path) return;
    // A tab of the same page is no new page.
    if (document.activeElement?.closest("[role=tablist], .tabs") !== null && document.activeElement !== null) return;
    document.getElementById("main")?.focus({ preventScroll: true });
  }, [path]);
}

export function Shell() {
  const [helpOpen, setHelpOpen] = useState(false);
  useKey("?", useCallback(() => setHelpOpen(true), []));
  useFocusOnNavigation();
  const section = useRouterState({ select: (state) => state.location.pathname.split("/")[1] });
  return (
    <>
      <a className="skip-link" href="#main">
        Skip to the content
      </a>
      <header className="top">
        <Link to="/experiments" className="brand" aria-label="Matraz, start page">
          <Flask />
          <span>Matraz</span>
        </Link>
        <nav aria-label="Main">
          <Link to="/experiments" className="nav-link" aria-current={section !== "models" ? "page" : undefined}>
            Experiments
          </Link>
          <Link to="/models" className="nav-link" aria-current={section === "models" ? "page" : undefined}>
            Models
          </Link>
        </nav>
        <div className="top-end">
          <button
            type="button"
            className="icon-button keyboard-help"
            onClick={() => setHelpOpen(true)}
            aria-label="Keyboard shortcuts"
            title="Keyboard shortcuts (?)"
          >
            <Icon name="keyboard" />
          </button>
          <ThemeButton />
        </div>
      </header>
      <main id="main" tabIndex={-1}>
        <Outlet />
      </main>
      <Shortcuts open={helpOpen} onClose={() => setHelpOpen(false)} />
    </>
  );
}
