"""Start the page of a Space and call it by Gradio's client: `python space_client.py FOLDER`; needs Gradio alone."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from gradio_client import Client  # type: ignore[import-not-found]
from PIL import Image


def main(folder: Path) -> None:
    """Print the sizes of the pictures that the page drew, and the file of the first, as JSON."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    environment = {**os.environ, "GRADIO_SERVER_PORT": str(port), "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""}
    app = subprocess.Popen([sys.executable, str(folder / "app.py")], cwd="/", env=environment)
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                client = Client(f"http://127.0.0.1:{port}", verbose=False)
                break
            except Exception:  # it is not there yet
                assert app.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.5)
        drawn = client.predict(3, 10, "all classes in turn", 0, api_name="/draw")
        way = client.predict(0, 1, 8, "7", api_name="/walk")
        paths = [one["path"] if isinstance(one, dict) else one for one in (drawn, way)]
        print(json.dumps({"file": paths[0], "sizes": [Image.open(path).size for path in paths]}))
    finally:
        app.kill()


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
