"""Sample grids, plots, and pages made of templates."""
