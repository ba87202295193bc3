"""Image networks as MindSpore Cells: one for each kind of layer, and the network that they make."""
