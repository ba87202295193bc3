"""Evaluation: a test set is heard by a network and several decoders, counted, kept, compared.

evaluate.py   which utterances, what the network says about them, what each decoder makes of that
results.py    one utterance, counted in every way that means something
runs.py       one evaluation as a value, and the file that keeps it
comparison.py two evaluations of one test set
"""
