// Greedy CTC decoding: the best unit of each step, repeats merged, blanks removed; with steps and probabilities.

import { Fault } from "./fault.js";

/** The id of the blank, and the first that is neither blank nor unknown. */
const BLANK = 0, FIRST = 2;
/** How many other units of a step are worth a word. */
const OTHERS = 3;

/**
 * The units of one utterance.
 *
 * @param logProbs rows of one utterance, (steps * units).
 * @param steps how many are its own; what follows is not looked at.
 * @param units V, the blank included.
 * @param temperature by which probabilities are calibrated.
 * @returns {ids, first, last, peaks, confidences, others, logProb}: the units; the steps from which to which the path
 *   stays on each; the one among them at which it is likeliest; its probability there, and what else may stand there.
 */
export function greedy(logProbs, steps, units, temperature = 1) {
  const found = { ids: [], first: [], last: [], peaks: [], confidences: [], others: [], logProb: 0 };
  let before = -1;
  for (let step = 0; step < steps; step++) {
    const best = argmax(logProbs, step * units, units), score = logProbs[step * units + best];
    if (Number.isNaN(score)) throw new Fault("diverged");
    found.logProb += score;
    if (best !== BLANK && best !== before) begin(found, best, step);
    else if (best !== BLANK) stay(found, logProbs, units, step);
    before = best;
  }
  found.ids.forEach((id, index) => {
    const row = tempered(logProbs.subarray(found.peaks[index] * units, (found.peaks[index] + 1) * units), temperature);
    found.confidences.push(row[id]);
    found.others.push(likeliest(row, id));
  });
  return found;
}

/** The first of the largest values, or of those that are no number. */
function argmax(values, from, count) {
  let best = 0;
  for (let k = 0; k < count; k++) {
    if (Number.isNaN(values[from + k])) return k;
    if (values[from + k] > values[from + best]) best = k;
  }
  return best;
}

function begin(found, id, step) {
  found.ids.push(id);
  for (const list of [found.first, found.last, found.peaks]) list.push(step);
}

function stay(found, logProbs, units, step) {
  const here = found.ids.length - 1, id = found.ids[here];
  found.last[here] = step;
  if (logProbs[step * units + id] > logProbs[found.peaks[here] * units + id]) found.peaks[here] = step;
}

/** Probabilities (V,) of log-probabilities at another temperature. */
function tempered(row, temperature) {
  const scaled = Float64Array.from(row, value => value / temperature);
  const top = scaled.reduce((a, b) => Math.max(a, b), -Infinity);
  const sum = scaled.reduce((total, value) => total + Math.exp(value - top), 0);
  return scaled.map(value => Math.exp(value - top) / sum);
}

/** The ids that are likeliest besides the one that was chosen, with their probabilities. */
function likeliest(row, chosen) {
  return [...row.keys()]
    .filter(id => id !== chosen && id >= FIRST)
    .sort((a, b) => row[b] - row[a])
    .slice(0, OTHERS)
    .map(id => ({ id, confidence: row[id] }));
}

/** The likeliest class of a clip, by its first step, in the form of `greedy`; blank and unknown are none. */
export function classOf(logProbs, steps, units, temperature = 1) {
  if (!steps) return { ids: [], confidences: [], others: [], logProb: 0 };
  const row = tempered(logProbs.subarray(0, units), temperature);
  if (row.some(Number.isNaN)) throw new Fault("diverged");
  const id = argmax(row, FIRST, units - FIRST) + FIRST;
  return { ids: [id], confidences: [row[id]], others: [likeliest(row, id)], logProb: logProbs[id] };
}
