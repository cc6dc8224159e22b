"""Everything that is done with a training run: start, resume, open, evaluate, pack and watch it."""
