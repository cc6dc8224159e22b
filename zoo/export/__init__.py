"""Export: write the generator of a trained model as a file for other runtimes, and check the file against the model."""
