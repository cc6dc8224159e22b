"""`python -m zoo.export checkpoint=RUN format=onnx`: export a generator. The work is in `zoo/export/command.py`."""

from zoo.config.command_line import run_command

if __name__ == "__main__":
    run_command("export", "zoo.export.command.main", first="zoo.runs.locating.check_each_named")
