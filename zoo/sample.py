"""`python -m zoo.sample checkpoint=RUN`: draw images from a trained model. The work is in `zoo/runs/drawing.py`."""

from zoo.config.command_line import run_command

if __name__ == "__main__":
    run_command("sample", "zoo.runs.drawing.main", first="zoo.runs.locating.check_named")
else:
    from zoo.runs.drawing import main, sample

    __all__ = ["main", "sample"]
