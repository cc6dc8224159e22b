"""Files: atomic writing, checkpoints, and the record of the software environment."""
