// Where somebody speaks, as `dfcnn_ms.streaming`: segments that begin and end in pauses. All lengths are in frames.

import { Activity } from "./activity.js";

export class Endpointer {
  /** @param told `endpointing` in model.json. */
  constructor(told) {
    Object.assign(this, told);
    this.frame = this.free = this.loud = this.last = 0;
    this.loudness = [];
    this.first = null;
  }

  /** The first frame that may still belong to a segment; and the one up to which the open segment goes for sure. */
  get needed() { return this.first ?? this.earliest(); }
  get ready() { return Math.min(this.frame, this.last + this.after); }

  /** Decibels of the next frames -> the segments [first, stop] that they complete. */
  feed(levels) {
    return levels.map(([above, alone]) => this.next(above, alone)).filter(Boolean);
  }

  /** The segment that is open when the sound ends. */
  finish() {
    return this.first === null ? [] : [this.close(this.ready)];
  }

  next(above, alone) {
    const voiced = above >= this.threshold_db;
    this.frame++;
    if (voiced) this.last = this.frame;
    if (this.first === null) {
      this.loud = voiced ? this.loud + 1 : Math.max(0, this.loud - 1);
      if (this.loud >= this.onset) {
        this.first = this.earliest();
        this.loudness = Array(this.frame - this.first).fill(alone);
      }
      return null;
    }
    this.loudness.push(alone);
    if (this.frame - this.last >= this.pause) return this.close(this.last + this.after);
    return this.frame - this.first >= this.longest ? this.cut() : null;
  }

  earliest() {
    return Math.max(this.free, this.frame - 2 * this.onset - this.before);
  }

  close(stop) {
    const span = [this.first, stop];
    [this.first, this.free, this.loud, this.loudness] = [null, stop, 0, []];
    return span;
  }

  /** Ends a segment that is too long at its weakest place; what follows is another one already. */
  cut() {
    const begin = Math.round(this.loudness.length * this.cut_after);
    let place = begin, least = Infinity;
    for (let at = begin; at + this.weak <= this.loudness.length; at++) {
      const sum = this.loudness.slice(at, at + this.weak).reduce((a, b) => a + b, 0);
      if (sum < least) [place, least] = [at, sum];
    }
    place += this.weak >> 1;
    const loudness = this.loudness.slice(place), span = this.close(this.first + place);
    if (this.last > span[1]) [this.first, this.loudness] = [span[1], loudness];
    return span;
  }
}

/** Cuts a stream of samples into segments; memory does not grow beyond that of one. */
export class Segmenter {
  /** @param model what model.json says. */
  constructor(model) {
    this.activity = new Activity(model.activity);
    this.endpointer = new Endpointer(model.endpointing);
    this.hop = model.activity.hop;
    this.window = model.activity.window.length;
    this.samples = new Float32Array(0);
    this.begin = 0;
  }

  /** Samples (n,) -> the segments that they complete, {first: frame, wave: samples}. */
  feed(samples) {
    const all = new Float32Array(this.samples.length + samples.length);
    all.set(this.samples);
    all.set(samples, this.samples.length);
    this.samples = all;
    return this.cut(this.endpointer.feed(this.activity.feed(samples)));
  }

  /** What is left when the sound ends. */
  finish() {
    return this.cut([...this.endpointer.feed(this.activity.finish()), ...this.endpointer.finish()]);
  }

  /** The segment that is not complete yet, as far as it goes for sure; or null. */
  get open() {
    const { first, ready } = this.endpointer;
    return first === null || ready <= first ? null : this.segment([first, ready]);
  }

  cut(spans) {
    const segments = spans.map(span => this.segment(span)), { needed } = this.endpointer;
    if (needed > this.begin) {
      this.samples = this.samples.slice((needed - this.begin) * this.hop);
      this.begin = needed;
    }
    return segments;
  }

  segment([first, stop]) {
    const from = (first - this.begin) * this.hop;
    return { first, wave: this.samples.slice(from, from + (stop - first - 1) * this.hop + this.window) };
  }
}
