"""What a server counts, in the format of Prometheus."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
SIZES = (1, 2, 4, 8, 16)


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self._requests = Counter(
            "dfcnn_requests", "Requests that were answered", ["route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "dfcnn_request_seconds", "Time to the end of an answer", ["route"], buckets=SECONDS, registry=registry
        )
        self._sound = Counter("dfcnn_audio_seconds", "Sound that was heard", ["model"], registry=registry)
        self._batches = Histogram(
            "dfcnn_batch_recordings", "Recordings heard at once", buckets=SIZES, registry=registry
        )
        self._hearing = Histogram("dfcnn_batch_seconds", "Time to hear a batch", buckets=SECONDS, registry=registry)
        self.places = Gauge("dfcnn_places", "Recordings that are read, wait or are heard", registry=registry)
        self.sessions = Gauge("dfcnn_sessions", "WebSockets that are open", registry=registry)

    def request(self, route: str, status: int, seconds: float) -> None:
        """Notes a request that was answered."""
        self._requests.labels(route, status).inc()
        self._seconds.labels(route).observe(seconds)

    def heard(self, model: str, sound_seconds: float) -> None:
        """Notes sound that was heard."""
        self._sound.labels(model).inc(sound_seconds)

    def batch(self, size: int, seconds: float) -> None:
        """Notes a batch that was heard, and the time it took."""
        self._batches.observe(size)
        self._hearing.observe(seconds)

    def page(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self._registry)
