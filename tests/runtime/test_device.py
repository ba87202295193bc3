"""Which device is taken, and the sentence for one that is not there."""

from __future__ import annotations

import pytest

from dfcnn_ms.errors import DeviceError
from dfcnn_ms.runtime import device

INSUFFICIENT = RuntimeError("cudaGetDeviceCount failed, ret[35], CUDA driver version is insufficient")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A machine with no device yet; what `set_device` is told is gathered."""
    told: list[str] = []
    have(monkeypatch, gpu=False, cards=0)
    monkeypatch.setattr(device.ms, "set_device", told.append)
    return told


def have(monkeypatch: pytest.MonkeyPatch, *, gpu: bool, cards: int | Exception, ascend: bool = False) -> None:
    def count() -> int:
        if isinstance(cards, Exception):
            raise cards
        return cards

    monkeypatch.setattr(device.device_context.ascend, "is_available", lambda: ascend)
    monkeypatch.setattr(device.device_context.ascend, "device_count", lambda: 8)
    monkeypatch.setattr(device.device_context.gpu, "is_available", lambda: gpu)
    monkeypatch.setattr(device.device_context.gpu, "device_count", count)


def test_auto_takes_a_gpu_with_a_card(machine: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    have(monkeypatch, gpu=True, cards=1)
    assert device.use_device("auto") == "GPU" and device.use_device("CPU") == "CPU"
    assert machine == ["GPU", "CPU"]


def test_auto_takes_an_ascend_before_a_gpu(machine: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    have(monkeypatch, gpu=True, cards=1, ascend=True)
    assert device.available_devices() == ("Ascend", "GPU", "CPU")
    assert device.use_device("auto") == "Ascend"


@pytest.mark.parametrize("cards", [0, INSUFFICIENT])
def test_a_plugin_without_a_usable_card_is_no_gpu(
    machine: list[str], monkeypatch: pytest.MonkeyPatch, cards: int | Exception
) -> None:
    """As where a driver is older than the libraries, or a container was not given a card."""
    have(monkeypatch, gpu=True, cards=cards)
    assert device.use_device("auto") == "CPU"
    with pytest.raises(DeviceError, match="finds no GPU"):
        device.use_device("GPU")
    assert machine == ["CPU"]


def test_the_sentence_names_the_cure(machine: list[str]) -> None:
    with pytest.raises(DeviceError) as gpu:
        device.use_device("GPU")
    sentence = str(gpu.value)
    assert "--device_target GPU: MindSpore" in sentence and "\n" not in sentence
    for part in ("NVIDIA driver", "pip install 'dfcnn-ms[cuda11]'", "python -m dfcnn_ms.doctor", "--device_target CPU"):
        assert part in sentence
    with pytest.raises(DeviceError, match="CANN"):
        device.use_device("Ascend")
    assert machine == []
