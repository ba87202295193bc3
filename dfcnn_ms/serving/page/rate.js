// Sound at one rate -> the same sound at another, chunk by chunk; how it is cut into chunks changes nothing.

/** Zero crossings of the filter on either side: the more, the steeper. */
const CROSSINGS = 16;
/** The filter ends a little below the highest frequency, because it falls over some width. */
const SHARE = 0.93;

export class Rate {
  constructor(from, to) {
    this.step = from / to;
    this.cutoff = from === to ? 1 : Math.min(1, to / from) * SHARE;
    this.half = from === to ? 0 : Math.ceil(CROSSINGS / this.cutoff);
    this.kept = new Float32Array(this.half);
    this.first = -this.half;
    this.written = 0;
  }

  /** As many samples at the new rate as this chunk (n,) completes. */
  push(chunk) {
    const sound = new Float32Array(this.kept.length + chunk.length);
    sound.set(this.kept);
    sound.set(chunk, this.kept.length);
    const end = this.first + sound.length, found = [];
    for (; Math.floor(this.written * this.step) + this.half < end; this.written++) {
      found.push(this.sample(sound, this.written * this.step - this.first));
    }
    const wanted = Math.max(this.first, Math.min(end, Math.floor(this.written * this.step) - this.half));
    this.kept = sound.slice(wanted - this.first);
    this.first = wanted;
    return Float32Array.from(found);
  }

  /** What the last chunk left: it is followed by silence. */
  end() {
    return this.push(new Float32Array(this.half));
  }

  sample(sound, at) {
    const middle = Math.floor(at);
    if (!this.half) return sound[middle];
    const first = Math.max(0, middle - this.half + 1);
    let sum = 0;
    for (let k = first; k <= middle + this.half; k++) sum += sound[k] * this.weight(k - at);
    return sum;
  }

  /** A sinc under a raised cosine, at a distance in samples of the old rate. */
  weight(distance) {
    if (Math.abs(distance) >= this.half) return 0;
    const x = Math.PI * distance * this.cutoff;
    const sinc = Math.abs(x) < 1e-9 ? 1 : Math.sin(x) / x;
    return this.cutoff * sinc * (0.5 + 0.5 * Math.cos((Math.PI * distance) / this.half));
  }
}
