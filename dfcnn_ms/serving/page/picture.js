// A wave and its spectrogram, of which only what is in view is drawn.

import { Fourier } from "./fft.js";
import { RATE } from "./sound.js";

/** Heights of the two, in pixels of the page. */
export const WAVE_HEIGHT = 64, SPECTROGRAM_HEIGHT = 136;
/** A spectrum looks through so many samples, is drawn over so many pixels and shows so many decibels. */
const WINDOW = 400, SIZE = 512, COLUMN = 2, DECIBELS = 65;
/** Columns that are kept while somebody scrolls. */
const KEPT = 6000;
const HIGHEST_HZ = 8000;

const mel = hz => Math.log(1 + hz / 700);
const hertz = mels => 700 * (Math.exp(mels) - 1);

export class Picture {
  constructor(canvas, wave) {
    this.canvas = canvas;
    this.wave = wave;
    this.fourier = new Fourier(SIZE);
    this.window = Float64Array.from({ length: WINDOW }, (_, k) => 0.5 - 0.5 * Math.cos((2 * Math.PI * k) / WINDOW));
    this.frame = new Float64Array(SIZE);
    this.power = new Float64Array(SIZE / 2 + 1);
    this.bins = Array.from({ length: SPECTROGRAM_HEIGHT }, (_, row) => bin(1 - (row + 0.5) / SPECTROGRAM_HEIGHT));
    this.columns = new Map();
    this.perSecond = 0;
    this.loudest = this.level();
  }

  /** Draws what is seen from some second on, so many pixels a second, `width` pixels wide. */
  draw(from, perSecond, width) {
    if (perSecond !== this.perSecond) this.columns.clear();
    this.perSecond = perSecond;
    const sharp = globalThis.devicePixelRatio ?? 1, { canvas } = this, context = canvas.getContext("2d");
    canvas.style.width = `${width}px`;
    canvas.width = Math.round(width * sharp);
    canvas.height = Math.round((WAVE_HEIGHT + SPECTROGRAM_HEIGHT) * sharp);
    context.scale(sharp, sharp);
    const colours = coloursOf(canvas);
    this.drawWave(context, from, width, colours);
    this.drawSpectrogram(context, from, width, colours);
    drawSeconds(context, from, perSecond, width, colours);
  }

  drawWave(context, from, width, { bar }) {
    const middle = WAVE_HEIGHT / 2, top = this.loudest.peak;
    context.fillStyle = bar;
    for (let x = 0; x < width; x++) {
      const first = Math.floor((from + x / this.perSecond) * RATE);
      const last = Math.min(Math.ceil((from + (x + 1) / this.perSecond) * RATE), this.wave.length);
      let low = 0, high = 0;
      for (let at = first; at < last; at++) {
        if (this.wave[at] < low) low = this.wave[at];
        else if (this.wave[at] > high) high = this.wave[at];
      }
      const up = (high / top) * (middle - 8), down = (low / top) * (middle - 8);
      if (first < this.wave.length) context.fillRect(x, middle - up - 0.5, 1, up - down + 1);
    }
  }

  drawSpectrogram(context, from, width, { palette }) {
    const first = Math.floor((from * this.perSecond) / COLUMN), count = Math.ceil(width / COLUMN) + 1;
    const image = context.createImageData(count, SPECTROGRAM_HEIGHT);
    for (let x = 0; x < count; x++) {
      const column = this.column(first + x);
      for (let row = 0; row < SPECTROGRAM_HEIGHT; row++) {
        image.data.set(palette[column[row]], 4 * (row * count + x));
      }
    }
    const flat = new OffscreenCanvas(count, SPECTROGRAM_HEIGHT);
    flat.getContext("2d").putImageData(image, 0, 0);
    const shift = first * COLUMN - from * this.perSecond;
    context.drawImage(flat, shift, WAVE_HEIGHT, count * COLUMN, SPECTROGRAM_HEIGHT);
  }

  /** The shades (rows,), 0 to 255, of a column. */
  column(index) {
    const known = this.columns.get(index);
    if (known) return known;
    if (this.columns.size > KEPT) this.columns.clear();
    const power = this.spectrum(Math.round((((index + 0.5) * COLUMN) / this.perSecond) * RATE));
    const shades = Uint8Array.from(this.bins, ([bin, share]) => {
      const decibels = 10 * Math.log10(power[bin] * (1 - share) + power[bin + 1] * share + 1e-12);
      return Math.max(0, Math.min(255, 255 * (1 + (decibels - this.loudest.decibels) / DECIBELS)));
    });
    this.columns.set(index, shades);
    return shades;
  }

  spectrum(middle) {
    const first = middle - WINDOW / 2;
    for (let k = 0; k < WINDOW; k++) this.frame[k] = (this.wave[first + k] ?? 0) * this.window[k];
    return this.fourier.power(this.frame, this.power);
  }

  /** How high the wave goes, and how loud its loudest band is, in some hundred places. */
  level() {
    let peak = 0.01, most = 1e-9;
    for (const value of this.wave) peak = Math.max(peak, Math.abs(value));
    const step = Math.max(WINDOW, Math.floor(this.wave.length / 300));
    for (let at = 0; at < this.wave.length; at += step) most = Math.max(most, ...this.spectrum(at));
    return { peak, decibels: 10 * Math.log10(most) };
  }
}

/** The Fourier bin below a height, 0 to 1 on the mel scale, and how far above it that lies. */
function bin(height) {
  const place = (hertz(height * mel(HIGHEST_HZ)) / RATE) * SIZE, below = Math.min(Math.floor(place), SIZE / 2 - 1);
  return [below, place - below];
}

function drawSeconds(context, from, perSecond, width, { soft }) {
  context.fillStyle = soft;
  context.font = "10px system-ui, sans-serif";
  for (let second = Math.ceil(from); (second - from) * perSecond < width; second++) {
    const x = Math.round((second - from) * perSecond);
    context.fillRect(x, 0, 1, 4);
    context.fillText(`${second} s`, x + 4, 9);
  }
}

/** What the style of the page says: ink for the wave, and 256 shades from silence to loud. */
function coloursOf(element) {
  const style = getComputedStyle(element), colour = name => style.getPropertyValue(name).trim();
  const stops = ["--card", "--quiet", "--bar", "--ink"].map(name => parsed(colour(name)));
  const palette = Array.from({ length: 256 }, (_, k) => shade(stops, k / 255));
  return { bar: colour("--bar"), soft: colour("--soft"), palette };
}

/** Red, green and blue of `#rrggbb`. */
const parsed = colour => [1, 3, 5].map(at => parseInt(colour.slice(at, at + 2), 16));

function shade(stops, share) {
  const place = share * (stops.length - 1), low = Math.min(Math.floor(place), stops.length - 2), rest = place - low;
  return [...stops[low].map((value, k) => value + rest * (stops[low + 1][k] - value)), 255];
}
