/** Colours of lines and runs, as many as a reader can tell apart; defined for both themes in the style sheet. */
export const SERIES_COLOURS = 8;

/** The colour's value for canvas drawing. */
export function seriesColour(element: Element, index: number): string {
  return getComputedStyle(element).getPropertyValue(`--series-${(index % SERIES_COLOURS) + 1}`).trim();
}

/** The colour's name for style attributes. */
export function seriesVariable(index: number): string {
  return `var(--series-${(index % SERIES_COLOURS) + 1})`;
}
