// Sound in and out: files -> samples at 16 kHz, samples -> wav and the bytes that a stream carries.

import { Fault } from "./fault.js";

export const RATE = 16000;

/** The sound of a file, one channel at 16 kHz: whatever this browser can play. */
export async function read(file) {
  const bytes = await file.arrayBuffer();
  if (!bytes.byteLength) throw new Fault("empty_file");
  let sound;
  try {
    sound = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(bytes);
  } catch {
    throw new Fault("cannot_read");
  }
  if (!sound.length) throw new Fault("empty_file");
  return mixed(sound);
}

function mixed(sound) {
  const wave = sound.getChannelData(0).slice();
  for (let channel = 1; channel < sound.numberOfChannels; channel++) {
    sound.getChannelData(channel).forEach((value, at) => (wave[at] += value));
  }
  return sound.numberOfChannels > 1 ? wave.map(value => value / sound.numberOfChannels) : wave;
}

/** Several pieces (n,) as one. */
export function joined(pieces) {
  const wave = new Float32Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    wave.set(piece, at);
    at += piece.length;
  }
  return wave;
}

/** Samples (N,) -> 16 bit, little-endian (2 N bytes). */
export function pcm(wave) {
  const view = new DataView(new ArrayBuffer(2 * wave.length));
  const whole = value => Math.max(-32768, Math.min(32767, Math.round(32768 * value)));
  wave.forEach((value, at) => view.setInt16(2 * at, whole(value), true));
  return new Uint8Array(view.buffer);
}

/** Bytes as text. */
export function base64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}

/** Samples (N,) at 16 kHz -> a wav file. */
export function wav(wave) {
  const head = new DataView(new ArrayBuffer(44)), body = pcm(wave);
  const word = (at, text) => [...text].forEach((letter, k) => head.setUint8(at + k, letter.charCodeAt(0)));
  word(0, "RIFF");
  head.setUint32(4, 36 + body.length, true);
  word(8, "WAVEfmt ");
  head.setUint32(16, 16, true);
  head.setUint16(20, 1, true);
  head.setUint16(22, 1, true);
  head.setUint32(24, RATE, true);
  head.setUint32(28, 2 * RATE, true);
  head.setUint16(32, 2, true);
  head.setUint16(34, 16, true);
  word(36, "data");
  head.setUint32(40, body.length, true);
  return new Blob([head, body], { type: "audio/wav" });
}
