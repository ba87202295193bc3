// The Fourier transform of any length: n = p * m, p prime, by p transforms of length m (Cooley and Tukey).

/** Prime factors of a whole number, the largest first, so that the short loops are innermost. */
function primes(number) {
  const found = [];
  for (let prime = 2; number > 1; prime++) {
    for (; number % prime === 0; number /= prime) found.unshift(prime);
  }
  return found;
}

/** Transforms `size` real numbers; made once for a size, used for every frame. */
export class Fourier {
  constructor(size) {
    this.size = size;
    this.factors = primes(size);
    this.cos = Float64Array.from({ length: size }, (_, k) => Math.cos((2 * Math.PI * k) / size));
    this.sin = Float64Array.from({ length: size }, (_, k) => -Math.sin((2 * Math.PI * k) / size));
    this.re = new Float64Array(size);
    this.im = new Float64Array(size);
    this.parts = new Float64Array(2 * Math.max(1, ...this.factors));
  }

  /** The power |X|^2 of each frequency: frame (size,) -> out (size / 2 + 1,). */
  power(frame, out) {
    this.transform(frame, this.size, 1, 0, 0, 0);
    for (let k = 0; k < out.length; k++) out[k] = this.re[k] ** 2 + this.im[k] ** 2;
    return out;
  }

  /** Every `stride`-th sample from `from` on, `size` of them -> `re` and `im` from `at` on. */
  transform(frame, size, stride, from, at, depth) {
    if (size === 1) {
      this.re[at] = frame[from];
      this.im[at] = 0;
      return;
    }
    const ways = this.factors[depth], part = size / ways;
    for (let way = 0; way < ways; way++) {
      this.transform(frame, part, stride * ways, from + way * stride, at + way * part, depth + 1);
    }
    for (let k = 0; k < part; k++) {
      if (ways === 2) this.pair(at + k, part, k * stride);
      else this.join(at + k, part, ways, k * stride, stride);
    }
  }

  /** The butterfly of two parts, the one that most lengths are made of. */
  pair(at, part, turn) {
    const { re, im } = this, other = at + part;
    const a = re[other] * this.cos[turn] - im[other] * this.sin[turn];
    const b = re[other] * this.sin[turn] + im[other] * this.cos[turn];
    re[other] = re[at] - a;
    im[other] = im[at] - b;
    re[at] += a;
    im[at] += b;
  }

  /** The butterfly of any number of parts: part `way` turned by `way * turn`, then a transform of length `ways`. */
  join(at, part, ways, turn, stride) {
    const { re, im, cos, sin, parts, size } = this;
    for (let way = 0; way < ways; way++) {
      const here = at + way * part, angle = (way * turn) % size;
      parts[2 * way] = re[here] * cos[angle] - im[here] * sin[angle];
      parts[2 * way + 1] = re[here] * sin[angle] + im[here] * cos[angle];
    }
    for (let to = 0; to < ways; to++) {
      let a = 0, b = 0;
      for (let way = 0; way < ways; way++) {
        const angle = (way * to * part * stride) % size;
        a += parts[2 * way] * cos[angle] - parts[2 * way + 1] * sin[angle];
        b += parts[2 * way] * sin[angle] + parts[2 * way + 1] * cos[angle];
      }
      re[at + to * part] = a;
      im[at + to * part] = b;
    }
  }
}
