"""`python -m zoo.data root=FOLDER`: report on a folder of images. The work is in `zoo/runs/data_report.py`."""

from zoo.config.command_line import run_command

if __name__ == "__main__":
    run_command("data", "zoo.runs.data_report.main")
