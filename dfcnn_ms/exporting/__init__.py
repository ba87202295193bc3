"""From a checkpoint to a file that other programs run: graphs written from weights, made smaller, and checked.

Only `mindspore_side` imports MindSpore.
"""
