"""How good a run is, in words, and what to try next; each statement from the records of the run folder."""
