"""`python -m zoo.project checkpoint=RUN image=FILE`: find its latent. The work is in `zoo/project/command.py`."""

from zoo.config.command_line import run_command

if __name__ == "__main__":
    run_command("project", "zoo.project.command.main", first="zoo.runs.locating.check_named")
