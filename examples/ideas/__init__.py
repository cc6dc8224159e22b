"""Ideas of GAN papers, each a subclass of a model of the library in one short file; see `examples/README.md`."""
