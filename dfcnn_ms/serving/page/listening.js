// From the outputs of the network to a transcript: units, times, confidences, and what else may have been said.

import { boundaries, Clock } from "./boundaries.js";
import { classOf, greedy } from "./greedy.js";

/** How the outputs of a task are read, and when what they say was said. */
const READERS = {
  ctc: { decode: greedy, timesOf: boundaries },
  classes: { decode: classOf, timesOf: (found, clock) => found.ids.map(() => [0, clock.seconds]) },
};
const thousandths = seconds => Math.round(seconds * 1000) / 1000;
/** Other readings of a sentence that are offered. */
const ALTERNATIVES = 5;

/**
 * What was heard in one piece of sound.
 *
 * @param outputs of the network: {logProbs (steps * units), steps, features (frames * bins), frames}.
 * @param seconds how long the sound is.
 * @param model what model.json says.
 */
export function transcript({ logProbs, steps, features, frames }, seconds, model) {
  const { decode, timesOf } = READERS[model.outputs], clock = new Clock(model, frames);
  const found = decode(logProbs, steps, model.symbols.length, model.temperature);
  const times = timesOf(found, clock, features);
  return {
    seconds,
    syllables: found.ids.map((id, k) => ({
      text: model.symbols[id],
      start: Math.min(thousandths(times[k][0]), seconds),
      end: Math.min(thousandths(times[k][1]), seconds),
      confidence: found.confidences[k],
      others: found.others[k].map(other => ({ text: model.symbols[other.id], confidence: other.confidence })),
    })),
  };
}

/** The same, or silence where the syllables are too unsure, on the average, to have been spoken. */
export function believed(heard, model) {
  const { syllables } = heard, { least_confidences: least } = model.endpointing, count = syllables.length;
  const mean = syllables.reduce((sum, one) => sum + one.confidence / count, 0);
  return count && mean < least[Math.min(count, least.length) - 1] ? { ...heard, syllables: [] } : heard;
}

/** The transcripts of pieces as that of the whole, so many seconds long; each knows at which second it begins. */
export function together(heard, seconds) {
  const later = (one, from) => ({ ...one, start: thousandths(one.start + from), end: thousandths(one.end + from) });
  const syllables = heard.flatMap(({ from, syllables }) => syllables.map(one => later(one, from)));
  const confidence = syllables.reduce((product, one) => product * one.confidence, 1);
  const score = Math.log(confidence);
  return { seconds, syllables, confidence, score, characters: null, alternatives: alternatives(syllables, score) };
}

/** The likeliest sentences that differ in one syllable; a score is the logarithm of a confidence. */
function alternatives(syllables, best) {
  const text = (place, other) => syllables.map((one, k) => (k === place ? other : one.text)).join(" ");
  return syllables
    .flatMap((one, place) => one.others.map(other => (
      { place, other, score: best + Math.log(other.confidence / one.confidence) })))
    .sort((a, b) => b.score - a.score)
    .slice(0, ALTERNATIVES)
    .map(({ place, other, score }) => ({ text: text(place, other.text), confidence: Math.exp(score), score }));
}
