// How much every frame stands out of the noise around it, as `dfcnn_ms.streaming.activity`: the noise of each band is
// the quietest that it was in the last seconds. All numbers come from Python (`activity` in model.json).

import { Fourier } from "./fft.js";

const DB = 10 / Math.LN10;

export class Activity {
  constructor(told) {
    Object.assign(this, told);
    this.fourier = new Fourier(told.n_fft);
    this.frame = new Float64Array(told.n_fft);
    this.power = new Float64Array(told.n_fft / 2 + 1);
    this.samples = new Float32Array(0);
    this.given = 0;
    this.last = null;
    this.minima = Array.from({ length: told.memory_blocks }, (_, block) =>
      new Float64Array(told.bands.length).fill(block < told.quiet_blocks ? told.quietest : Infinity));
  }

  /** Samples (n,) -> decibels [above the noise, alone] of the frames that are complete now, in whole blocks. */
  feed(samples) {
    const all = new Float32Array(this.samples.length + samples.length);
    all.set(this.samples);
    all.set(samples, this.samples.length);
    const complete = Math.max(0, Math.floor((all.length - this.window.length) / this.hop) + 1);
    const frames = complete - (complete % this.block);
    this.samples = all.slice(frames * this.hop);
    this.given += frames;
    return this.levels(all, frames);
  }

  /** Decibels of the frames that are left. */
  finish() {
    const left = Math.floor((this.samples.length - this.window.length) / this.hop) + 1;
    const frames = this.given ? Math.max(0, left) : Math.max(left, Math.min(1, this.samples.length));
    const levels = this.levels(this.samples, frames);
    this.samples = new Float32Array(0);
    return levels;
  }

  levels(samples, frames) {
    const levels = [];
    for (let first = 0; first < frames; first += this.block) {
      const count = Math.min(this.block, frames - first);
      const block = Array.from({ length: count }, (_, k) => this.bandsAt(samples, (first + k) * this.hop));
      levels.push(...this.ofBlock(block));
    }
    return levels;
  }

  /** The power in each band of the frame that begins at a sample. */
  bandsAt(samples, at) {
    this.window.forEach((weight, k) => (this.frame[k] = (samples[at + k] ?? 0) * weight));
    this.fourier.power(this.frame, this.power);
    return this.bands.map(([first, weights]) =>
      weights.reduce((sum, weight, k) => sum + weight * this.power[first + k], this.floor));
  }

  ofBlock(block) {
    const before = this.last ?? Array(this.smoothed - 1).fill(block[0]), powers = [...before, ...block];
    this.last = powers.slice(powers.length - this.smoothed + 1);
    const noise = this.bands.map((_, band) => Math.min(...this.minima.map(row => row[band])));
    const quietest = this.bands.map(() => Infinity);
    const levels = block.map((_, frame) => {
      let above = 0, alone = 0;
      this.bands.forEach((_, band) => {
        let sum = 0;
        for (let k = 0; k < this.smoothed; k++) sum += powers[frame + k][band];
        const level = Math.max(Math.log(sum / this.smoothed), this.quietest);
        noise[band] = Math.min(noise[band], level);
        quietest[band] = Math.min(quietest[band], level);
        above += Math.min(Math.max((level - noise[band]) * DB - this.bias_db, 0), this.most_db) / this.bands.length;
        alone += (level * DB) / this.bands.length;
      });
      return [above, alone];
    });
    this.minima = [...this.minima.slice(1), quietest];
    return levels;
  }
}
