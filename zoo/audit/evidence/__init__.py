"""What an audit measures: the subject, its images, and features computed once for all questions."""
