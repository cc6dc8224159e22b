"""MIX+GAN: mixtures of generators and discriminators around any other model."""
