"""What ``doctor`` knows: is this machine fit for training, and which device has a kernel for what the networks use.

``checks`` judges the machine, ``gpu`` and ``ascend`` what a card needs, and each finding is a ``result``; they import
nothing but the standard library, because they are needed most where other packages are missing or broken. ``probe`` is
started in a process of its own to try MindSpore. ``elf`` reads libraries without loading them. ``kernels`` reads the
registered kernels out of MindSpore's libraries, ``operators`` compares them with compiled training steps.
"""
