"""The result of an audit as data: findings, verdicts and the report."""
