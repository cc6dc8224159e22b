"""One paper, one file, top to bottom: both networks and the LightningModule that trains them."""
