"""Sample grids, plots and HTML pages."""
