const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A length of time: 20 ms, 1.8 s, 3 m 12 s, 2 h 05 m, 3 d 4 h. */
export function duration(milliseconds: number): string {
  if (milliseconds < SECOND) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < MINUTE) return `${(milliseconds / SECOND).toFixed(milliseconds < 10 * SECOND ? 1 : 0)} s`;
  if (milliseconds < HOUR) {
    return `${Math.floor(milliseconds / MINUTE)} m ${padded((milliseconds % MINUTE) / SECOND)} s`;
  }
  if (milliseconds < DAY) return `${Math.floor(milliseconds / HOUR)} h ${padded((milliseconds % HOUR) / MINUTE)} m`;
  return `${Math.floor(milliseconds / DAY)} d ${Math.floor((milliseconds % DAY) / HOUR)} h`;
}

function padded(value: number): string {
  return String(Math.floor(value)).padStart(2, "0");
}

const absolute = new Intl.DateTimeFormat("en-GB", {
  year: "numeric",
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  timeZoneName: "short",
});
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const dayAndYear = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

/** The full date and time in the reader's time zone. */
export function fullTime(at: number): string {
  return absolute.format(at);
}

/** How long ago, while that says more than the date: `just now`, `5 min ago`, `3 h ago`, `2 d ago`, `4 Mar`. */
export function timeAgo(at: number, now: number): string {
  const past = now - at;
  if (past < -MINUTE) return fullTime(at);
  if (past < 45 * SECOND) return "just now";
  if (past < HOUR) return `${Math.max(1, Math.round(past / MINUTE))} min ago`;
  if (past < DAY) return `${Math.round(past / HOUR)} h ago`;
  if (past < 7 * DAY) return `${Math.round(past / DAY)} d ago`;
  const sameYear = new Date(at).getFullYear() === new Date(now).getFullYear();
  return (sameYear ? day : dayAndYear).format(at);
}
