"""Compiled code that is installed with MindSpore anyway, called without a compiler. Nothing here imports MindSpore."""
