// The page: files and the microphone in, results out. Who listens is said by the document: `server.js` or `local.js`.

import { Card } from "./card.js";
import { Fault } from "./fault.js";
import { Level } from "./level.js";
import { together } from "./listening.js";
import { open } from "./microphone.js";
import { joined, RATE, read } from "./sound.js";
import { exchange, many, say, translate } from "./words.js";

const engine = await import(document.documentElement.dataset.engine);
const LEAST_SECONDS = 0.3;
const SECRET = "dfcnn_ms.key";

const part = id => document.getElementById(id);
const cards = [];
const told = {}, nothing = () => "";
let recordings = 0, recording = null;

/** What the engine is told besides the sound. */
const options = () => ({ key: part("key").value, model: part("model").value, progress: showProgress });

/** Says something in one of the two lines for it, and again when the language changes; `quietly` only aloud. */
function tell(line, sentence, quietly = false) {
  told[line] = sentence;
  part(line).textContent = sentence();
  part(line).classList.toggle("aloud", quietly);
}

function complain(error, about = "") {
  const { key, said } = error instanceof Fault ? error : { key: "unexpected", said: String(error?.message ?? error) };
  tell("problem", () => [about && `${about}:`, say(key), said].filter(Boolean).join(" "));
  if (key === "key_wanted") [part("settings").hidden, part("key_field").hidden] = [false, false];
}

function showProgress(share) {
  part("progress").hidden = share >= 1;
  part("progress").firstElementChild.style.width = `${100 * share}%`;
}

/** Does something that may go wrong; what does is said on the page, beside what it is about. */
async function attempt(task, about = "") {
  try {
    return await task();
  } catch (error) {
    tell("status", nothing);
    complain(error, about);
  } finally {
    showProgress(1);
  }
}

/** Listens to a sound and puts what was heard on top of the results. */
async function transcribe(sound) {
  tell("status", () => say("listening", { name: sound.name }));
  const heard = sound.isSilence
    ? together([], sound.wave.length / RATE)
    : await engine.transcribe(sound, options());
  const stem = sound.name.replace(/\.[^.]+$/, "");
  const how = engine.LOCAL ? "others_local" : "others_server";
  const card = new Card({ ...heard, name: stem, file: sound.name }, sound.wave, how);
  card.fill();
  card.element.addEventListener("removed", () => cards.splice(cards.indexOf(card), 1));
  cards.unshift(card);
  part("results").prepend(card.element);
  tell("status", () => say("done", { name: sound.name, found: many(heard.syllables.length) }), true);
}

async function hearFiles(files) {
  tell("problem", nothing);
  for (const file of files) {
    await attempt(async () => {
      if (!file.size) throw new Fault("empty_file");
      const wave = await read(file).catch(error => {
        if (engine.LOCAL) throw error;
        return null;
      });
      await transcribe({ file, wave, name: file.name });
    }, file.name);
  }
}

async function start() {
  tell("status", () => say("starting"));
  part("speak").disabled = true;
  part("said").textContent = "";
  const level = new Level(part("level"), part("clock")), chunks = [];
  const stream = engine.listen(options(), show, error => complain(error));
  try {
    const close = await open(chunk => {
      chunks.push(chunk);
      level.push(chunk);
      stream.push(chunk);
    });
    recording = { chunks, close, stream };
    tell("status", () => say("say_something"));
    showRecording(true);
  } catch (error) {
    stream.finish();
    throw error;
  } finally {
    part("speak").disabled = false;
  }
}

/** Shows what was said so far. */
function show(said) {
  part("said").textContent = said;
  if (said && recording) tell("status", nothing);
}

async function stop() {
  const { chunks, close, stream } = recording;
  let complete = false;
  recording = null;
  part("speak").disabled = true;
  try {
    await close();
    complete = await stream.finish();
  } finally {
    showRecording(false);
    part("speak").disabled = false;
  }
  const wave = joined(chunks);
  if (wave.length < LEAST_SECONDS * RATE) throw new Fault("too_short");
  recordings += 1;
  const isSilence = complete && !part("said").textContent;
  await transcribe({ wave, name: `${say("recording", { n: recordings })}.wav`, isSilence });
}

function showRecording(on) {
  part("speak").classList.toggle("on", on);
  part("speak").lastElementChild.dataset.text = on ? "stop" : "speak";
  part("speak").lastElementChild.textContent = say(on ? "stop" : "speak");
  part("live").hidden = !on;
}

async function describe() {
  const { models, licence } = await engine.about(options());
  part("model").replaceChildren(...models.map(name => new Option(name, name)));
  part("model_field").hidden = models.length < 2;
  part("settings").hidden = part("model_field").hidden && part("key_field").hidden;
  part("licence").hidden = !licence;
  Object.assign(part("licence").dataset, { text: "licence", name: licence });
  translate(part("licence").parentElement);
}

function speakOrStop() {
  tell("problem", nothing);
  return attempt(recording ? stop : start);
}

function drop(event) {
  event.preventDefault();
  document.body.classList.remove("over");
  hearFiles([...event.dataTransfer.files]);
}

/** Space plays the newest result, unless something that it belongs to has the focus; Escape stops what runs. */
function key(event) {
  if (event.key === "Escape" && recording) speakOrStop();
  else if (event.key === "Escape") cards.forEach(card => card.stop?.());
  else if (event.key === " " && document.activeElement === document.body && cards[0]?.wave) {
    event.preventDefault();
    cards[0].toggle();
  }
}

function changeLanguage() {
  exchange();
  translate(document);
  for (const [line, sentence] of Object.entries(told)) part(line).textContent = sentence();
  cards.forEach(card => card.fill());
}

part("where").dataset.text = engine.LOCAL ? "stays_here" : "goes_to_server";
part("key").value = sessionStorage.getItem(SECRET) ?? "";
part("key").onchange = () => {
  sessionStorage.setItem(SECRET, part("key").value);
  tell("problem", nothing);
  attempt(describe);
};
part("speak").onclick = speakOrStop;
part("language").onclick = changeLanguage;
part("file").onchange = async ({ target }) => {
  await hearFiles([...target.files]);
  target.value = "";
};
document.onkeydown = key;
document.ondragover = event => {
  event.preventDefault();
  document.body.classList.add("over");
};
document.ondragleave = event => event.relatedTarget || document.body.classList.remove("over");
document.ondrop = drop;
translate(document);
attempt(describe);
