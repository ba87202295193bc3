"""Toned pinyin syllables, and the vocabulary that gives them ids."""

from dfcnn_ms.text.vocabulary import BLANK, BLANK_ID, UNKNOWN, UNKNOWN_ID, Vocabulary

__all__ = ["BLANK", "BLANK_ID", "UNKNOWN", "UNKNOWN_ID", "Vocabulary"]
