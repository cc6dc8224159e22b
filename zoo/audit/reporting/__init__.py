"""Write an audit report as JSON, Markdown and an HTML page."""
