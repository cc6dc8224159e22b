"""`python -m zoo.compare RUN RUN ...`: compare runs over their seeds. The work is in `zoo/runs/comparing/`."""

from zoo.config.command_line import run_command

if __name__ == "__main__":
    run_command("compare", "zoo.runs.comparing.command.main", paths="runs")
else:
    from zoo.runs.comparing.command import compare, main

    __all__ = ["compare", "main"]
