"""Parts of the training loop: batches, clock, objectives, moving average, replicas."""
