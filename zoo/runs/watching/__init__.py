"""The page of a run: its samples over time, the verdict, curves and signals; as a file, or served while it trains."""
