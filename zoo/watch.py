"""`python -m zoo.watch run=FOLDER`: write a page about a run. The work is in `zoo/runs/watching.py`."""

from contextlib import suppress

from zoo.config.command_line import run_command

if __name__ == "__main__":
    with suppress(KeyboardInterrupt):  # the way to end every=SECONDS
        run_command("watch", "zoo.runs.watching.main")
else:
    from zoo.runs.watching import main, watch

    __all__ = ["main", "watch"]
