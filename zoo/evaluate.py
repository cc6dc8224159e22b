"""`python -m zoo.evaluate checkpoint=RUN`: measure a model's samples. The work is in `zoo/runs/measuring.py`."""

from zoo.config.command_line import run_command

if __name__ == "__main__":
    run_command("evaluate", "zoo.runs.measuring.main", first="zoo.runs.locating.check_named")
else:
    from zoo.runs.measuring import evaluate, main

    __all__ = ["evaluate", "main"]
