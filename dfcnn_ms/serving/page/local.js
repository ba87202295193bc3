// Recognition inside the browser: the same as `server.js` says, without any server.

import { Segmenter } from "./endpoints.js";
import { Fault } from "./fault.js";
import { joined, RATE } from "./sound.js";

export const LOCAL = true;

/** New sound that is worth another look while somebody speaks. */
const STEP_SECONDS = 0.3;

let worker = null, description = null;
const waiting = new Map();

/** What model.json says. */
async function model() {
  description ??= fetch(new URL("./model.json", import.meta.url)).then(answer => answer.json());
  return description;
}

/** The names of the models that there are, and their licence where one is known; the network is loaded meanwhile. */
export async function about() {
  worker ??= started();
  const { name, licence } = await model();
  return { models: [name], licence };
}

/** Listens to samples (N,), of a file unless somebody spoke; `progress` is called with the share that was heard. */
export async function transcribe({ wave, file }, { progress = () => {} } = {}) {
  return ask({ wave, how: file ? "file" : "speech" }, progress);
}

/** Listens while somebody speaks: what was said before the last pause stays, the rest is heard anew. */
export function listen(_, said, failed) {
  const settled = [];
  let chunks = [], unheard = 0, looking = null, segmenter = null;
  const text = async ({ wave }) => (await ask({ wave, how: "segment" })).syllables.map(one => one.text).join(" ");
  const look = async () => {
    segmenter ??= new Segmenter(await model());
    const sound = joined(chunks);
    [chunks, unheard] = [[], 0];
    for (const segment of segmenter.feed(sound)) settled.push(await text(segment));
    const now = segmenter.open ? await text(segmenter.open) : "";
    said([...settled, now].filter(Boolean).join(" "));
  };
  return {
    push(chunk) {
      chunks.push(chunk);
      unheard += chunk.length;
      if (looking || unheard < STEP_SECONDS * RATE) return;
      looking = look().catch(failed).finally(() => (looking = null));
    },
    async finish() {
      await looking;
      return false;
    },
  };
}

function ask(task, progress = () => {}) {
  worker ??= started();
  const id = Math.random();
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject, progress });
    worker.postMessage({ id, ...task });
  });
}

function started() {
  const made = new Worker(new URL("./local_worker.js", import.meta.url), { type: "module" });
  made.onmessage = ({ data: { id, share, heard, fault } }) => {
    const { resolve, reject, progress } = waiting.get(id);
    if (share !== undefined) return progress(share);
    waiting.delete(id);
    return fault ? reject(new Fault(fault.key, fault.said)) : resolve(heard);
  };
  made.onerror = () => {
    waiting.forEach(({ reject }) => reject(new Fault("no_engine")));
    waiting.clear();
    worker = null;
  };
  return made;
}
