// The microphone as chunks of samples at 16 kHz, with nothing done to the sound.

import { Fault } from "./fault.js";
import { Rate } from "./rate.js";
import { RATE } from "./sound.js";

const AS_IT_IS = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };

/**
 * Opens the microphone.
 *
 * @param heard is called with every chunk (n,) at 16 kHz.
 * @returns a function that closes it; its promise is kept when the last chunk has been heard.
 */
export async function open(heard) {
  const stream = await asked();
  const context = new AudioContext();
  try {
    await context.audioWorklet.addModule(new URL("./capture.js", import.meta.url));
    const capture = new AudioWorkletNode(context, "capture", { channelCount: 1, channelCountMode: "explicit" });
    const rate = new Rate(context.sampleRate, RATE);
    const ended = new Promise(done => {
      capture.port.onmessage = ({ data: { chunk, last } }) => {
        heard(rate.push(chunk));
        if (!last) return;
        capture.port.onmessage = null;
        heard(rate.end());
        done();
      };
    });
    context.createMediaStreamSource(stream).connect(capture).connect(context.destination);
    await context.resume();
    return async () => {
      capture.port.postMessage("no more");
      await ended;
      await close(stream, context);
    };
  } catch (error) {
    await close(stream, context);
    throw error;
  }
}

async function asked() {
  if (!navigator.mediaDevices?.getUserMedia) throw new Fault("microphone_insecure");
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: AS_IT_IS });
  } catch (error) {
    throw new Fault({ NotAllowedError: "microphone_refused", NotFoundError: "microphone_missing" }[error.name]
      ?? "microphone_failed", error.message);
  }
}

async function close(stream, context) {
  stream.getTracks().forEach(track => track.stop());
  await context.close();
}
