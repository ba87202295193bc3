// Runs beside the page, in the thread of the sound: hands on what the microphone hears, some milliseconds at a time.

const CHUNK = 2048;

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.chunk = new Float32Array(CHUNK);
    this.filled = 0;
    this.port.onmessage = () => this.send(true);
  }

  process([[heard]]) {
    for (const value of heard ?? []) {
      this.chunk[this.filled++] = value;
      if (this.filled === CHUNK) this.send();
    }
    return true;
  }

  send(last = false) {
    this.port.postMessage({ chunk: this.chunk.slice(0, this.filled), last });
    this.filled = 0;
  }
}

registerProcessor("capture", Capture);
