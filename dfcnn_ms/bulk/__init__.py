"""Many recordings, written down by many processes into one file that can be gone on with after any end.

One line of JSON a recording. Which are done is known from the file itself, so that a run that was killed goes on where
it stopped; what could not be heard has its line too. Sources say what is to be heard (`items`), a listener makes lines
of it (`listening`), an engine runs listeners side by side (`engines`: processes of this machine, or Ray), and the file
keeps what came of it (`output`).
"""
