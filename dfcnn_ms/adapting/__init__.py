"""A trained network learns one voice: which recordings teach it, what is rehearsed meanwhile, before and after.

`sets` chooses the recordings, `page` writes the configuration of the training, `adaptation` has it done by the engine
that trains everything else. The room is free of MindSpore; the training that it asks for is not.
"""
