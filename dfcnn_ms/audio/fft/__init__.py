"""The power spectrum of frames: machine code for the usual lengths, SciPy for the others."""

from dfcnn_ms.audio.fft.spectrum import PowerSpectrum

__all__ = ["PowerSpectrum"]
