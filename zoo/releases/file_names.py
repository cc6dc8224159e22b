"""Names of the files of a release, for code that must not import torch."""

CONFIG, WEIGHTS, CARD, METRICS, GRID, RECIPE = (
    "config.json",
    "model.safetensors",
    "README.md",
    "metrics.json",
    "grid.png",
    "recipe.yaml",
)
AUDIT, AUDIT_PAGE = "audit.json", "audit.html"  # of a release that was audited
