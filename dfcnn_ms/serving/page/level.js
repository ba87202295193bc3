// How loud the last seconds were, as bars, and how long the recording is.

import { RATE } from "./sound.js";

const BAR = 5, GAP = 2;
/** Samples that a bar stands for. */
const SPAN = 640;

export class Level {
  constructor(canvas, clock) {
    this.canvas = canvas;
    this.clock = clock;
    this.peaks = [];
    this.samples = 0;
    this.rest = [];
    clock.textContent = "0:00";
  }

  /** Hears samples (n,) at 16 kHz. */
  push(chunk) {
    this.samples += chunk.length;
    this.rest.push(...chunk);
    while (this.rest.length >= SPAN) this.peaks.push(Math.max(...this.rest.splice(0, SPAN).map(Math.abs)));
    const seconds = Math.floor(this.samples / RATE);
    this.clock.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    this.draw();
  }

  draw() {
    const { canvas } = this, sharp = devicePixelRatio, { clientWidth: width, clientHeight: height } = canvas;
    const context = canvas.getContext("2d"), shown = Math.floor(width / (BAR + GAP));
    canvas.width = width * sharp;
    canvas.height = height * sharp;
    context.scale(sharp, sharp);
    context.fillStyle = getComputedStyle(canvas).getPropertyValue("--bar").trim();
    this.peaks = this.peaks.slice(-shown);
    this.peaks.forEach((peak, index) => {
      const tall = Math.max(2, height * Math.min(1, Math.sqrt(peak)));
      context.fillRect(width - (this.peaks.length - index) * (BAR + GAP), (height - tall) / 2, BAR, tall);
    });
  }
}
