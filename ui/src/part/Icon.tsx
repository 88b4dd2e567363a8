// Line icons on a 20 × 20 grid, drawn here: a font or a package would be larger than the eighteen we need.
const PATHS = {
  sun: "M10 6.4a3.6 3.6 0 1 0 0 7.2 3.6 3.6 0 0 0 0-7.2M10 2v1.4M10 16.6V18M2 10h1.4M16.6 10H18M4.3 4.3l1 1M14.7 14.7l1 1M4.3 15.7l1-1M14.7 5.3l1-1",
  moon: "M16.5 11.8A6.8 6.8 0 0 1 8.2 3.5a6.8 6.8 0 1 0 8.3 8.3z",
  auto: "M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14M10 3v14M10 6.5h5.6M10 10h7M10 13.5h5.6",
  keyboard: "M3.5 5h13a1.5 1.5 0 0 1 1.5 1.5v7a1.5 1.5 0 0 1-1.5 1.5h-13A1.5 1.5 0 0 1 2 13.5v-7A1.5 1.5 0 0 1 3.5 5zM5.2 8.2h.1M8.4 8.2h.1M11.6 8.2h.1M14.7 8.2h.1M7 11.8h6",
  search: "M8.8 3.5a5.3 5.3 0 1 0 0 10.6 5.3 5.3 0 0 0 0-10.6M12.8 12.8l3.7 3.7",
  filter: "M3 5h14M5.5 10h9M8 15h4",
  columns: "M3.5 4h13v12h-13zM7.8 4v12M12.2 4v12",
  compare: "M7 4 3.5 7.5 7 11M3.8 7.5H13M13 9l3.5 3.5L13 16M16.2 12.5H7",
  chevron: "M7.5 5l5 5-5 5",
  up: "M10 16V4.5M5.5 8.8 10 4.3l4.5 4.5",
  down: "M10 4v11.5M5.5 11.2 10 15.7l4.5-4.5",
  close: "M5 5l10 10M15 5 5 15",
  copy: "M7.5 7.5h8.5v8.5H7.5zM12.5 7.5V4H4v8.5h3.5",
  check: "M4.5 10.5l3.6 3.6 7.4-8",
  folder: "M3 5.5h4.6l1.6 2H17v8H3z",
  file: "M5.5 3h6l3.5 3.5V17h-9.5zM11.2 3v3.8H15",
  download: "M10 3.5v9M6.3 9 10 12.7 13.7 9M4 16.5h12",
  edit: "M4 16l.7-3.2L13 4.5l2.5 2.5-8.3 8.3z",
  trash: "M4 5.8h12M8 5.8V4h4v1.8M5.5 5.8l.7 10.7h7.6l.7-10.7M8.5 8.8v5M11.5 8.8v5",
  plus: "M10 4v12M4 10h12",
  more: "M4.8 10h.1M10 10h.1M15.2 10h.1",
  commit: "M10 6.8a3.2 3.2 0 1 0 0 6.4 3.2 3.2 0 0 0 0-6.4M2 10h4.8M13.2 10H18",
  help: "M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14M7.9 8a2.1 2.1 0 1 1 2.9 2c-.6.3-.8.6-.8 1.3M10 13.8h.1",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg className="icon" width={size} height={size} viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
