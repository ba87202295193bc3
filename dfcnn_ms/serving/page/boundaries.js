// From steps to times, as `dfcnn_ms.decoding.boundaries`: a boundary lies between the steps of two syllables, where the
// sound changes and grows weaker.

const SHARE = 0.58;
const USUAL_SECONDS = 0.24, LONGEST_SECONDS = 0.4;
const PAUSE = 2.0;
const SPREAD = 0.5, SPREAD_AT_SILENCE = 1.0;
const CONTEXT = 3;
const LEAST_CHANGE = 1e-6;

/** The clock of a sound: when frames and steps of the network begin, in seconds. */
export class Clock {
  constructor(model, frames) {
    this.hop = model.hop_seconds;
    this.window = model.window_seconds;
    this.stepFrames = model.frames_per_step;
    this.firstFrame = model.first_frame;
    this.frames = frames;
    this.seconds = (frames - 1) * this.hop + this.window;
  }
  between(frame) { return frame * this.hop + (this.window - this.hop) / 2; }
  stepBegins(step) { return this.between(this.firstFrame + step * this.stepFrames); }
  get stepSeconds() { return this.stepFrames * this.hop; }
}

/**
 * When each unit begins and ends, [start, end] in seconds for each.
 *
 * @param found what `greedy` found.
 * @param clock of the sound.
 * @param features what the network hears, row by row (frames * bins).
 */
export function boundaries(found, clock, features) {
  const limit = seconds => Math.min(Math.max(seconds, 0), clock.seconds);
  const middles = found.first.map((first, k) => limit(clock.stepBegins((first + found.last[k] + 1) / 2)));
  const gaps = middles.slice(1).map((middle, k) => middle - middles[k]);
  const usual = gaps.length ? Math.min(median(gaps), LONGEST_SECONDS) : USUAL_SECONDS;
  const changes = changesOf(features, clock);
  const phrases = phrasesOf(middles, gaps, PAUSE * usual);
  return phrases.flatMap((phrase, k) => {
    const low = k ? (phrases[k - 1].at(-1) + phrase[0]) / 2 : 0;
    const high = k < phrases.length - 1 ? (phrase.at(-1) + phrases[k + 1][0]) / 2 : clock.seconds;
    const edges = edgesOf(phrase, usual, clock.stepSeconds, changes, low, high);
    return phrase.map((_, at) => [edges[at], edges[at + 1]]);
  });
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b), half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** The middles, divided where a pause lies between neighbours. */
function phrasesOf(middles, gaps, pause) {
  const phrases = [];
  middles.forEach((middle, k) => {
    if (k && gaps[k - 1] <= pause) phrases.at(-1).push(middle);
    else phrases.push([middle]);
  });
  return phrases;
}

/** The boundaries (L + 1,) of units without a pause between them. */
function edgesOf(middles, usual, stepSeconds, changes, low, high) {
  const count = middles.length;
  return Array.from({ length: count + 1 }, (_, k) => {
    const outer = k === 0 || k === count;
    const expected = k === 0 ? middles[0] - (1 - SHARE) * usual
      : k === count ? middles[count - 1] + SHARE * usual
      : middles[k - 1] + SHARE * (middles[k] - middles[k - 1]);
    return settled({
      expected,
      low: k ? middles[k - 1] : low,
      high: k < count ? middles[k] : high,
      spread: (outer ? SPREAD_AT_SILENCE : SPREAD) * stepSeconds,
    }, changes, k === 0 ? -1 : 1);
  });
}

/** The time with the most evidence near the expected one; `sign` is -1 where the sound begins. */
function settled({ expected, low, high, spread }, changes, sign) {
  let best = null, most = -Infinity;
  for (const { time, change, weaker } of changes) {
    if (time <= low || time >= high) continue;
    const score = change + sign * weaker - ((time - expected) / spread) ** 2 / 2;
    if (score > most) [best, most] = [time, score];
  }
  return best ?? Math.min(Math.max(expected, low), high);
}

/** Between any two frames: the time, how much the sound changes there, and how much weaker it becomes. */
function changesOf(values, clock) {
  const found = [], { frames } = clock, bins = values.length / frames;
  for (let here = 1; here < frames; here++) {
    const before = mean(values, bins, Math.max(here - CONTEXT, 0), here);
    const after = mean(values, bins, here, Math.min(here + CONTEXT, frames));
    let squares = 0, weaker = 0;
    for (let f = 0; f < bins; f++) {
      squares += (after[f] - before[f]) ** 2 / bins;
      weaker += (before[f] - after[f]) / bins;
    }
    found.push({ time: clock.between(here), change: Math.sqrt(squares), weaker });
  }
  const scale = deviation(found.map(one => one.change));
  return found.map(one => ({ time: one.time, change: one.change / scale, weaker: one.weaker / scale }));
}

function mean(values, bins, first, last) {
  const sums = new Float64Array(bins);
  for (let at = first * bins; at < last * bins; at++) sums[at % bins] += values[at] / (last - first);
  return sums;
}

function deviation(values) {
  if (!values.length) return 1;
  const centre = values.reduce((a, b) => a + b, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / values.length;
  return Math.max(Math.sqrt(variance), LEAST_CHANGE);
}
