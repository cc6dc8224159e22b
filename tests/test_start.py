"""What a command loads before it has something to do: counted in modules, not in seconds."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import zoo

HEAVY = ("torch", "torchvision", "torchmetrics", "pytorch_lightning", "lightning_fabric", "matplotlib", "scipy", "PIL")
WITHOUT_TORCH = [
    "zoo",
    "zoo.hub",
    "zoo.hub show=dcgan_digits",
    "zoo.hub show=nothing",
    "zoo.hub verify=x chek=1",
    "zoo.fit",
    "zoo.fit recipe=dcgan_digts",
    "zoo.fit recipe=dcgan_digits model.widht=8",
    "zoo.fit recipe=dcgan_digits modle.width=8",
    "zoo.fit recipe=dcgan_digits model.width=wide",
    "zoo.fit recipe=dcgan_digits model.class=DCGN",
    "zoo.fit recipe=dcgan_digits callbacks.SampleGird.every=8",
    "zoo.fit recipe=dcgan_digits trainer.acelerator=cpu",
    "zoo.fit recipe=progan_digits model.variant=author",
    "zoo.sample",
    "zoo.sample checkpoint=dcgan_digts",
    "zoo.evaluate checkpoint=/nowhere",
    "zoo.evaluate checkpoint=x n=many",
    "zoo.audit chekpoint=x",
    "zoo.audit checkpoint=/nowhere",
    "zoo.watch run=/nowhere",
]
RUN_ALL = """
import contextlib, io, json, runpy, sys
for line in json.loads(sys.argv.pop()):
    module, *words = line.split()
    for name in (module, f"{module}.__main__"): sys.modules.pop(name, None) if "." in name else None
    sys.argv[:] = [module, *words]
    out, errors, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        try: runpy.run_module(module, run_name="__main__")
        except SystemExit as ended: code = ended.code
    loaded = sorted({name.partition(".")[0] for name in sys.modules})
    print(json.dumps([line, code, loaded, out.getvalue() + errors.getvalue()]))
"""


def run(folder: Path, program: str, *words: str) -> list[str]:
    """Run a program in a process of its own, and return the lines it prints."""
    environment = {**os.environ, "PYTHONPATH": str(Path(zoo.__file__).parent.parent)}
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_lists_and_faults_load_no_torch(tmp_path: Path) -> None:
    lines = [json.loads(line) for line in run(tmp_path, RUN_ALL, json.dumps(WITHOUT_TORCH))]
    assert [line[0] for line in lines] == WITHOUT_TORCH
    for command, code, loaded, text in lines:
        assert (command, set(HEAVY) & set(loaded)) == (command, set())
        good = command in ("zoo", "zoo.hub", "zoo.hub show=dcgan_digits")
        assert (command, code or 0) == (command, 0 if good else 2), text
        assert "Traceback" not in text
        assert good or text.startswith(command.split()[0] + ": ")


def test_metrics_load_no_lightning_and_a_model_little_beside_it(tmp_path: Path) -> None:
    """Time is spent on packages, so `from zoo import DCGAN` may load only small ones beside those of Lightning."""
    program = (
        "import json, sys\n"
        "def loaded(): print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))\n"
        "import zoo; loaded()\n"
        "import zoo.metrics; loaded()\n"
        "import pytorch_lightning; loaded()\n"
        "from zoo import DCGAN; loaded()\n"
    )
    package, metrics, lightning, model = (set(json.loads(line)) for line in run(tmp_path, program))
    assert not {*HEAVY, "numpy", "omegaconf"} & package
    assert "torchmetrics" in metrics
    assert not {"pytorch_lightning", "lightning_fabric"} & metrics
    assert "pytorch_lightning" in lightning
    third_party = {name for name in model - lightning if name not in sys.stdlib_module_names}
    assert third_party <= {"attr", "jinja2", "markupsafe", "omegaconf", "safetensors", "yaml"}, third_party


def test_scripts_import_the_modules_they_name_by_attribute() -> None:
    # `import zoo` loads no module, so `zoo.runs.run` is an attribute only where somebody has imported it.
    root = Path(__file__).parent.parent
    for script in sorted([*root.glob("benchmarks/*.py"), *root.glob("studies/*.py"), *root.glob("examples/**/*.py")]):
        tree = ast.parse(script.read_text(encoding="utf-8"))
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        for node in ast.walk(tree):
            name = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
            parts = name.split(".")
            if parts[0] == "zoo" and len(parts) > 2 and root.joinpath(*parts).with_suffix(".py").is_file():
                assert name in imported, f"{script.name}: {name} needs `import {name}`"
