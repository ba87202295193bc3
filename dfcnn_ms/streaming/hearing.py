"""What the network hears in a segment: for good when it is complete, and before, again and again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np

from dfcnn_ms.decoding.hypothesis import Again, BaseDecoder, Decoder, DecoderStream, Hypothesis
from dfcnn_ms.errors import ConfigError
from dfcnn_ms.recognizer import Outputs, Recognizer, Transcript
from dfcnn_ms.streaming.endpoints import Endpointing
from dfcnn_ms.streaming.results import StreamResult
from dfcnn_ms.streaming.segmenter import Segment
from dfcnn_ms.streaming.windows import Stitched

#: the confidence of what is heard in a voice is this share, at least, of what is right on the dev set; it is no further
#: below than the second over the root of the number of syllables, and never below the third; the last is for networks
#: of which nobody knows how much is right. Chosen on the dev voices of the digits: alone, at 10 dB, and twelve at once.
SHARE, SPREAD, LEAST, UNKNOWN = 0.7, 0.56, 0.5, 0.7
#: an open segment is heard again when it has grown by so many seconds
PARTIAL_SECONDS = 0.16
#: where all of it is heard anew, and something was said already, it has to grow by so many seconds, and by this share
ANEW_SECONDS, ANEW_SHARE = 0.32, 0.1


def check_streams(recognizer: Recognizer) -> None:
    """Refuses a network that says one thing about a whole clip.

    Raises:
        ConfigError: see above.
    """
    if recognizer.network.frames_per_step is None:
        raise ConfigError(
            "this network names whole clips, so that there is nothing to be said before the end of one; give it files,"
            " or listen with a network of sentences (task.kind=ctc)"
        )


def heard(recognizer: Recognizer, segments: Sequence[Segment], endpointing: Endpointing | None) -> list[StreamResult]:
    """The final results of some segments, heard in one batch; one that is noise says nothing."""
    frontend = recognizer.frontend
    found = recognizer.read([frontend.normalised(segment.features) for segment in segments])
    return [
        result_of(recognizer, segment, believed(recognizer, one, endpointing), final=True)
        for segment, one in zip(segments, found, strict=True)
    ]


def usual_confidence(recognizer: Recognizer, syllables: int) -> float:
    """How sure a network is, on the average of so many syllables, that it heard somebody, if it did.

    As sure as it is right on its dev set, less what chance and a worse sound take away; of many syllables, chance takes
    less. Several voices at once are heard as many syllables, all of them a little unsure.
    """
    error = getattr(recognizer.meta, "dev_error", None)
    if error is None:
        return UNKNOWN
    return max(LEAST, SHARE * (1 - error), 1 - error - SPREAD / math.sqrt(syllables))


def believed(recognizer: Recognizer, transcript: Transcript, endpointing: Endpointing | None) -> Transcript:
    """The transcript, or that of silence where its syllables are too unsure to have been spoken."""
    if endpointing is None or not transcript.syllables:
        return transcript
    least = endpointing.least_confidence
    least = usual_confidence(recognizer, len(transcript.syllables)) if least is None else least
    if float(np.mean(transcript.confidences)) >= least:
        return transcript
    written = transcript.sentence and replace(transcript.sentence, text="", units=(), words=(), score=0.0)
    return Transcript((), 1.0, 0.0, 0.0, (), (), (), written)


def result_of(recognizer: Recognizer, segment: Segment, transcript: Transcript, *, final: bool) -> StreamResult:
    """A transcript of a segment with the times of the stream."""
    features = recognizer.frontend.features
    hop, window = features.hop_ms / 1000, features.window_ms / 1000
    start = segment.first * hop
    known = {field.name: getattr(transcript, field.name) for field in fields(Transcript)}
    known["starts"] = tuple(round(start + second, 3) for second in transcript.starts)
    known["ends"] = tuple(round(start + second, 3) for second in transcript.ends)
    end = (segment.stop - 1) * hop + window
    return StreamResult(**known, index=segment.index, start=round(start, 3), end=round(end, 3), final=final)


class Hearing:
    """What is heard in a segment while it is spoken.

    Attributes:
        index: of the segment.
        text: what was said about it last.

    Args:
        recognizer: what listens.
        index: see above.
        endpointing: see :class:`StreamingRecognizer`.
    """

    def __init__(self, recognizer: Recognizer, index: int, endpointing: Endpointing | None) -> None:
        self.index, self.text = index, ""
        self._recognizer, self._endpointing = recognizer, endpointing
        self._normalise = recognizer.frontend.in_pieces() if recognizer.network.receptive_field else None
        self._stitched = None if self._normalise is None else Stitched(recognizer)
        self._decoder = _stream_of(recognizer.decoder)
        self._features = np.zeros((0, recognizer.frontend.features.num_bins), np.float32)
        self._log_probs = np.zeros((0, len(recognizer.vocabulary)), np.float32)
        self._frames = 0  # at which it was heard last

    def news(self, segment: Segment) -> list[StreamResult]:
        """What is heard in it by now, if it has grown enough and something else is heard than before."""
        if not self._is_due(len(segment.features)):
            return []
        self._frames = len(segment.features)
        outputs, nbest = self._decoded(segment.features)
        transcript = believed(self._recognizer, self._recognizer.transcript_of(outputs, 0, nbest), self._endpointing)
        if transcript.text in ("", self.text):
            return []
        self.text = transcript.text
        return [result_of(self._recognizer, segment, transcript, final=False)]

    def _is_due(self, frames: int) -> bool:
        grown, hop = frames - self._frames, self._recognizer.frontend.features.hop_ms / 1000
        if self._stitched is not None or not self.text:
            return grown > 0 and grown >= round(PARTIAL_SECONDS / hop)
        return grown >= max(round(ANEW_SECONDS / hop), ANEW_SHARE * frames)

    def _decoded(self, features: np.ndarray) -> tuple[Outputs, list[Hypothesis]]:
        """What the network and the decoder say about the segment so far (T, F)."""
        if self._stitched is None or self._normalise is None:
            outputs = self._recognizer.outputs([self._recognizer.frontend.normalised(features)])
            return outputs, self._recognizer.decoder(outputs.log_probs, outputs.steps)[0]
        new = self._normalise(features[len(self._features) :])
        log_probs = self._stitched.feed(new)
        self._features = np.concatenate([self._features, new])
        self._log_probs = np.concatenate([self._log_probs, log_probs])
        outputs = Outputs([self._features], self._log_probs[None], np.array([len(self._log_probs)]))
        return outputs, self._decoder.add(log_probs)


def _stream_of(decoder: Decoder) -> DecoderStream:
    """What decodes piece by piece; a decoder from outside may not know how, and decodes all again then."""
    return decoder.stream() if isinstance(decoder, BaseDecoder) else Again(decoder)
