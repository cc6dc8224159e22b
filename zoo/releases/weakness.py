"""When a number is a weakness, and what it means: for the model card and for the verdict on a run."""

LOW_COVERAGE = 0.8
"""Share of the value of real images below which a number is a weakness."""
MEANING_OF_LOW = {
    **dict.fromkeys(("coverage", "recall"), "parts of the data are rarely drawn"),
    **dict.fromkeys(("density", "precision"), "some samples look like no real image"),
}
"""What it means that a number is low, by its key."""
