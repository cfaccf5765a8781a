// Requests to the server: patient where it is busy, with the token where it asks for one.
import { t } from "./texts.js";

const TRIES = 8; // at a busy server, ever further apart
const PLACE = "asli-token";
let asked = null;
let asking = null;

/** Call `handler` when the server asks for a token; it returns a promise that ends when there is one. */
export const onToken = (handler) => (asked = handler);
export const setToken = (token) => sessionStorage.setItem(PLACE, token);

async function request(path, options) {
  const token = sessionStorage.getItem(PLACE);
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const answer = await fetch(path, { ...options, headers });
  if (answer.status !== 401) return answer;
  asking ??= asked().finally(() => (asking = null)); // one question, however many requests need the token
  await asking;
  return request(path, options);
}

export async function about() {
  const answer = await request("v1/detectors");
  if (!answer.ok) throw new Error(answer.status);
  return (await answer.json()).detectors;
}

/** Read an answer in lines: an object each. */
export async function* lines(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read().catch((error) => {
      throw error.name === "AbortError" ? error : new Error(t("web.silent_one"));
    });
    if (done) return;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    for (const part of parts) yield JSON.parse(part);
  }
}

/** Send one picture; return the answer, or throw what can be shown. */
export async function send(path, query, file, signal) {
  const form = new FormData();
  form.append("images", file, file.name || "pasted");
  const options = { method: "POST", body: form, signal };
  let answer;
  try {
    answer = await request(`${path}?${new URLSearchParams(query)}`, options);
    for (let tries = 1; answer.status === 503 && tries < TRIES; tries += 1) {
      const seconds = Math.max(tries, Number(answer.headers.get("retry-after")) || 1);
      await new Promise((go) => setTimeout(go, 1000 * seconds));
      answer = await request(`${path}?${new URLSearchParams(query)}`, options);
    }
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error(t("web.silent_one"));
  }
  if (answer.ok) return answer;
  if (answer.status === 503) throw new Error(t("web.busy"));
  const said = await answer.json().catch(() => ({})); // what stands in front of the server may answer with a page
  throw new Error(said.error || t("web.status", { status: answer.status }));
}
