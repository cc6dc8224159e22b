"""`python -m zoo.audit checkpoint=RUN`: audit a generator. The work is in `zoo/audit/command.py`."""

from zoo.config.command_line import run_command

if __name__ == "__main__":
    run_command("audit", "zoo.audit.command.main", first="zoo.runs.locating.check_named")
