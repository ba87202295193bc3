"""What the doctor of data asks: one module for each kind of question, one function for each question."""
