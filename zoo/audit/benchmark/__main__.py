"""`python -m zoo.audit.benchmark`: measure which test finds which copies. The work is in `command.py` beside it."""

from zoo.config.command_line import run_command

if __name__ == "__main__":
    run_command("audit.benchmark", "zoo.audit.benchmark.command.main")
