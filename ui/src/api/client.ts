// One door to the server: same origin, MLflow's REST API under /ajax-api.

/** Root of the API that browsers use. */
export const API_ROOT = "/ajax-api/2.0/mlflow";

/** Root of the API that MLflow does not have. */
const OWN_ROOT = "/ajax-api/2.0/matraz";

/** What went wrong with a call, in the server's own words where it had any. */
export class ApiError extends Error {
  /** HTTP status, or 0 when the server could not be reached. */
  readonly status: number;
  /** MLflow's error code, such as `INVALID_PARAMETER_VALUE`. */
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
  }

  /** True when another attempt could help: no answer, or the server's own trouble. */
  get passing(): boolean {
    return this.status === 0 || this.status >= 500 || this.status === 429;
  }

  /** True when what was asked for does not exist. */
  get missing(): boolean {
    return this.status === 404 || this.code === "RESOURCE_DOES_NOT_EXIST";
  }
}

export type Query = Record<string, string | number | boolean | readonly string[] | undefined>;

/** Query string with repeated keys for lists; undefined values are left out. */
export function queryString(query: Query): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value === undefined) continue;
    if (Array.isArray(value)) for (const item of value) search.append(key, item);
    else search.append(key, String(value));
  }
  const text = search.toString();
  return text === "" ? "" : `?${text}`;
}

/** Turns an answer that is no success into an error, whatever its body looks like. */
export function errorFromAnswer(status: number, body: string): ApiError {
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed === "object" && parsed !== null) {
      const { error_code, message, detail } = parsed as Record<string, unknown>;
      const text = typeof message === "string" ? message : typeof detail === "string" ? detail : "";
      if (text !== "") {
        return new ApiError(status, typeof error_code === "string" ? error_code : `HTTP_${status}`, text);
      }
    }
  } catch {
    // Not JSON: a proxy's page or plain text.
  }
  const text = body.trim();
  const readable = text !== "" && !text.startsWith("<") && text.length < 400;
  return new ApiError(status, `HTTP_${status}`, readable ? text : `the server answered with status ${status}`);
}

/** `fetch` whose failures are all `ApiError`s. */
export async function request(url: string, init?: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { credentials: "same-origin", ...init });
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === "AbortError") throw cause;
    throw new ApiError(0, "UNREACHABLE", "the server does not answer");
  }
  if (!response.ok) throw errorFromAnswer(response.status, await response.text());
  return response;
}

async function json<T>(response: Response): Promise<T> {
  const text = await response.text();
  try {
    return (text === "" ? {} : JSON.parse(text)) as T;
  } catch {
    throw new ApiError(response.status, "NOT_JSON", `the server's answer to ${response.url} is not JSON`);
  }
}

export async function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  return json<T>(await request(`${API_ROOT}/${path}${queryString(query)}`, { signal }));
}

/** Like `get`, for what this server answers and MLflow does not. */
export async function getOwn<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  return json<T>(await request(`${OWN_ROOT}/${path}${queryString(query)}`, { signal }));
}

export async function post<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> {
  return json<T>(
    await request(`${API_ROOT}/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal,
    }),
  );
}

/** A key-value pair as MLflow sends params, tags and (with a number) metrics. */
export interface Pair<V = string> {
  key: string;
  value: V;
}

/** Value of a key in a list of pairs that may be absent. */
export function pair(pairs: readonly Pair[] | undefined, key: string): string | undefined {
  return pairs?.find((entry) => entry.key === key)?.value;
}

/** A double in proto3 JSON: `NaN` and the infinities come as strings. */
export type JsonDouble = number | string;

export function number(value: JsonDouble): number {
  if (typeof value === "number") return value;
  if (value === "NaN") return Number.NaN;
  if (value === "Infinity") return Number.POSITIVE_INFINITY;
  if (value === "-Infinity") return Number.NEGATIVE_INFINITY;
  return Number(value);
}

/** A string as a literal of the filter grammar. The grammar has no escapes, so the quote is chosen to fit. */
export function filterLiteral(text: string): string {
  if (!text.includes("'")) return `'${text}'`;
  if (!text.includes('"')) return `"${text}"`;
  // Both kinds of quote: `_` in LIKE patterns matches any one character, and nothing else can be written.
  return `'${text.replaceAll("'", "_")}'`;
}
