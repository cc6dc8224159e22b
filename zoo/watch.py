"""`python -m zoo.watch run=FOLDER`: show a run on a page. The work is in `zoo/runs/watching/`."""

from contextlib import suppress

from zoo.config.command_line import run_command

if __name__ == "__main__":
    with suppress(KeyboardInterrupt):  # the way to end every=SECONDS
        run_command("watch", "zoo.runs.watching.command.main")
else:
    from zoo.runs.watching.command import main, watch

    __all__ = ["main", "watch"]
