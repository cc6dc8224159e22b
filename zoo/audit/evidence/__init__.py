"""The evidence of an audit: the subject, the images, and features computed once for all questions."""
