"""`python -m zoo.fit recipe=NAME`: train a GAN by a recipe. The work is in `zoo/runs/fitting.py`."""

import signal
import sys
from types import ModuleType
from typing import cast

from zoo.config.command_line import run_command

if __name__ == "__main__":
    try:
        run_command("fit", "zoo.runs.fitting.main", first="zoo.runs.recipe_text.check_text")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
else:
    from zoo.runs.fitting import main
    from zoo.runs.run import fit

    # `import zoo.fit` binds the name `zoo.fit` to the object that `sys.modules` holds for it once this file has run.
    # That object is the function, so `zoo.fit(...)` trains whether or not this file has been imported. It carries the
    # names of this file, for `from zoo.fit import fit`, and its specification, for `importlib` and `runpy`.
    vars(fit).update(__spec__=__spec__, fit=fit, main=main)
    sys.modules[__name__] = cast("ModuleType", fit)
