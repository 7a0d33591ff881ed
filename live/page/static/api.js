/* Questions to the HTTP API. A failure is an Error with a sentence for the user. */
const API = "/api/v1";
const TIMEOUT_MS = 20_000;

export const cameraPath = (name) => `/cameras/${encodeURIComponent(name)}`;
export const url = (path) => API + path;

export const get = (path, signal) => ask("GET", path, undefined, signal);
export const send = (method, path, body = {}, signal = undefined) => ask(method, path, body, signal);

async function ask(method, path, body, signal) {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  let response;
  try {
    response = await fetch(API + path, {
      method,
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      headers: body === undefined ? {} : { "Content-Type": "application/json", "X-Percept": "1" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Error("The watch cannot be reached.");
  }
  const answer = await response.json().catch(() => ({}));
  if (response.status === 401 && path !== "/login") location.assign("/login");
  if (!response.ok) throw new Error(answer.error ?? `The watch answered with status ${response.status}.`);
  return answer;
}
