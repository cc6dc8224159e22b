"""Benchmark of tests for memorisation: the power of published tests and of the audit to find planted copies."""
