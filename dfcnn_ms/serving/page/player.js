// Plays parts of a sound and says where it is.

import { RATE } from "./sound.js";

let context = null;
let stopLast = () => {};

/**
 * Plays samples from one second to another; whatever played before stops.
 *
 * @param wave (N,) at 16 kHz.
 * @param at is called with the second that is heard, at every picture, and with null at the end.
 * @returns a function that stops it.
 */
export function play(wave, from, to, at) {
  stopLast();
  context ??= new AudioContext();
  context.resume();
  const buffer = context.createBuffer(1, wave.length, RATE), source = context.createBufferSource();
  buffer.copyToChannel(wave, 0);
  source.buffer = buffer;
  source.connect(context.destination);
  const begun = context.currentTime;
  source.start(0, from, to - from);
  let running = true;
  const stop = () => {
    if (!running) return;
    running = false;
    source.onended = null;
    source.stop();
    at(null);
  };
  source.onended = stop;
  const follow = () => {
    if (!running) return;
    at(Math.min(to, from + context.currentTime - begun));
    requestAnimationFrame(follow);
  };
  follow();
  stopLast = stop;
  return stop;
}
