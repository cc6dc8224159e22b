"""Statistical tests and distances that audit questions share."""
