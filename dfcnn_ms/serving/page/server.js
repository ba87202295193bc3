// The contract with `python -m dfcnn_ms.serve`: its own transcription, and OpenAI's realtime WebSocket.

import { Fault } from "./fault.js";
import { base64, pcm, RATE, wav } from "./sound.js";

export const LOCAL = false;

/** What the answers of a server mean to the user. */
const MEANINGS = { 401: "key_wanted", 413: "too_long", 422: "bad_sound", 503: "busy" };
/** How long the last words of a stream are waited for. */
const PATIENCE_MS = 5000;
/** So many readings are asked for: the best, and others. */
const READINGS = 6;
const EVENT = "conversation.item.input_audio_transcription";

/** The names of the models that there are, and their licence where one is known. */
export async function about({ key = "" } = {}) {
  const { data } = await (await request("/v1/models", { headers: allowed(key) })).json();
  return { models: data.map(one => one.id), licence: "" };
}

/** Listens to a file, or to samples (N,) of the microphone. */
export async function transcribe({ file, wave, name }, { key = "", model = "" } = {}) {
  const body = new FormData();
  body.append("file", file ?? wav(wave), name);
  body.append("nbest", READINGS);
  if (model) body.append("model", model);
  return heardOf(await (await request("/v1/transcribe", { method: "POST", headers: allowed(key), body })).json());
}

/**
 * Listens while somebody speaks.
 *
 * @param said is called with the whole text so far.
 * @param failed is called with a Fault when the server says no.
 * @returns {push, finish}: push(chunk (n,) at 16 kHz) hands on sound, finish() waits for the last words and says
 *   whether all were heard.
 */
export function listen({ key = "", model = "" }, said, failed) {
  const socket = new WebSocket(address(), ["realtime", ...(key ? [`openai-insecure-api-key.${key}`] : [])]);
  const texts = new Map(), waiting = [];
  const send = event => {
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(event));
    else if (socket.readyState === WebSocket.CONNECTING) waiting.push(event);
  };
  const closed = new Promise(done => (socket.onclose = done));
  let finishing = false, complete = false;
  socket.onopen = () => waiting.splice(0).forEach(send);
  socket.onerror = () => finishing || failed(new Fault("no_stream"));
  socket.onmessage = ({ data }) => {
    const event = JSON.parse(data);
    if (event.type === "error" && !finishing) failed(new Fault("server_says", event.error?.message));
    if (hear(texts, event)) said([...texts.values()].filter(Boolean).join(" "));
    if (!finishing || event.type !== `${EVENT}.completed`) return;
    complete = true;
    socket.close();
  };
  send({ type: "session.update", session: session(model) });
  return {
    push: chunk => send({ type: "input_audio_buffer.append", audio: base64(pcm(chunk)) }),
    finish: async () => {
      finishing = true;
      send({ type: "input_audio_buffer.commit" });
      await Promise.race([closed, new Promise(done => setTimeout(done, PATIENCE_MS))]);
      socket.close();
      return complete;
    },
  };
}

/** Keeps the text of each item of a conversation up to date; whether there is anything new. */
function hear(texts, { type, item_id: item, delta, partial, transcript }) {
  if (type === `${EVENT}.delta`) texts.set(item, partial ?? (texts.get(item) ?? "") + delta);
  else if (type === `${EVENT}.completed`) texts.set(item, transcript);
  else return false;
  return true;
}

function session(model) {
  const input = { format: { type: "audio/pcm", rate: RATE }, ...(model ? { transcription: { model } } : {}) };
  return { type: "transcription", audio: { input } };
}

function address() {
  const url = new URL("/v1/realtime?intent=transcription", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url;
}

const allowed = key => (key ? { Authorization: `Bearer ${key}` } : {});

/** An answer that is good; any other is a Fault with what the server says. */
async function request(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Fault("no_server");
  }
  if (answer.ok) return answer;
  const said = (await answer.json().catch(() => null))?.error?.message ?? `${answer.status} ${answer.statusText}`;
  throw new Fault(MEANINGS[answer.status] ?? "server_says", said);
}

/** What the server heard, in the form that the page shows. */
export function heardOf(page) {
  return {
    seconds: page.seconds,
    confidence: page.confidence,
    score: page.score,
    characters: page.characters?.text ?? null,
    syllables: page.syllables.map(one => ({
      text: one.text, start: one.start, end: one.end, confidence: one.score, others: [],
      characters: one.characters === one.text ? "" : one.characters ?? "",
    })),
    alternatives: page.alternatives ?? [],
    lines: page.lines,
  };
}
