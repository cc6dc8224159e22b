"""Projection: find the latents of a trained generator whose images are nearest to given pictures."""
