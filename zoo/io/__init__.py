"""Files on disk: atomic writing, downloads, checkpoints, run folders, and the record of the software environment."""
