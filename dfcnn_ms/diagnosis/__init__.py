"""What ``doctor`` knows: is this machine fit for training, and which device has a kernel for what the networks use.

``checks`` judges the machine and imports nothing but the standard library, because it is needed most where other
packages are missing or broken; ``probe`` is what it starts in a process of its own to try MindSpore. ``kernels`` reads
the registered kernels out of MindSpore's libraries, ``operators`` compares them with compiled training steps.
"""
