"""`python -m zoo.fit recipe=NAME`: train. The command's work is in `zoo/runs/fitting.py`."""

from __future__ import annotations

import signal
import sys
from types import ModuleType
from typing import cast

from zoo.config.command_line import run_command
from zoo.runs.fitting import main
from zoo.runs.run import fit

if __name__ == "__main__":
    try:
        run_command("fit", main)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
else:
    # `import zoo.fit` binds the name `zoo.fit` to whatever stands in `sys.modules` for it once this file has run. It is
    # the function, so `zoo.fit(...)` trains whether or not somebody has imported the file of the command.
    sys.modules[__name__] = cast("ModuleType", fit)
