"""Who speaks the corpora that are made: synthesisers, and the people that one voice is turned into.

A voice takes toned pinyin as it is spoken and gives sound with the time of every syllable; `spoken` is the contract,
``VOICES`` in `table` the list of all: `espeak` has the formant voices of espeak-ng, `neural` the voice of a woman and
those of some hundreds of `people` that `praat` makes of it. No synthesiser is loaded before somebody is to speak.
"""
