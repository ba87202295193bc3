// The network in a thread of its own, so that the page stays alive while it listens.

import * as ort from "./ort/ort.js";
import { Segmenter } from "./endpoints.js";
import { believed, together, transcript } from "./listening.js";
import { RATE } from "./sound.js";

/** Files that are longer are cut at their pauses, as speech always is; shorter ones are heard whole, as in training. */
const ONE_PIECE_SECONDS = 30;
/** A long sound is cut into segments as if it came in pieces of so many samples. */
const PIECE = 10 * RATE;

ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = { wasm: new URL("./ort/ort.wasm", import.meta.url).href };

const opened = open();
let last = Promise.resolve();

self.onmessage = ({ data: { id, wave, how } }) => {
  last = last.then(async () => {
    try {
      const heard = await listen(wave, how, share => self.postMessage({ id, share }));
      self.postMessage({ id, heard });
    } catch (error) {
      self.postMessage({ id, fault: { key: error.key ?? "no_engine", said: error.said ?? error.message } });
    }
  });
};

async function open() {
  const model = await (await fetch("./model.json")).json();
  const session = await ort.InferenceSession.create("./model.onnx", { executionProviders: ["wasm"] });
  return { model, session };
}

/** The transcript of samples (N,): of a file, of speech, or of a segment of speech that is cut already. */
async function listen(wave, how, progress) {
  const { model, session } = await opened, seconds = wave.length / RATE, heard = [];
  const hear = async (piece, first) => ({
    from: first * model.hop_seconds,
    ...transcript(await run(session, piece), piece.length / RATE, model),
  });
  const isCut = model.outputs === "ctc" && (how === "speech" || (how === "file" && seconds > ONE_PIECE_SECONDS));
  if (!isCut) {
    const whole = await hear(wave, 0);
    return together([how === "segment" ? believed(whole, model) : whole], seconds);
  }
  for (const { first, wave: piece } of segments(wave, model)) {
    heard.push(believed(await hear(piece, first), model));
    progress((first * model.hop_seconds) / seconds);
  }
  return together(heard, seconds);
}

function* segments(wave, model) {
  const segmenter = new Segmenter(model);
  for (let at = 0; at < wave.length; at += PIECE) yield* segmenter.feed(wave.subarray(at, at + PIECE));
  yield* segmenter.finish();
}

/** What the network says about samples (N,), and the features that it heard. */
async function run(session, wave) {
  const found = await session.run({
    wave: new ort.Tensor("float32", wave, [1, wave.length]),
    lengths: new ort.Tensor("int64", BigInt64Array.of(BigInt(wave.length)), [1]),
  });
  const frames = Number(found.frames.data[0]), bins = found.features.dims.at(-1);
  return {
    logProbs: found.log_probs.data,
    steps: Number(found.steps.data[0]),
    features: found.features.data.subarray(0, frames * bins),
    frames,
  };
}
