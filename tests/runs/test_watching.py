"""The parts of the page of a run: panels, grids, status, the state for refreshes."""

from __future__ import annotations

import base64
import io
import json
import math
import os
import socket
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from zoo.io.run_folder import RunFolder
from zoo.runs.history import read_run
from zoo.runs.watching import frames as frames_module
from zoo.runs.watching.frames import embedded_frames, linked_frames
from zoo.runs.watching.heat import heat_maps_of
from zoo.runs.watching.page import json_in_html, live_state, page_text
from zoo.runs.watching.panels import Panel, as_values, panels_of
from zoo.runs.watching.state import version_of
from zoo.runs.watching.status import duration, status_of

RECIPE = """seed: 3
images: 8000
pretrained: ''
model: {class: DCGAN, width: 4}
data: {class: Folder, root: /home/someone/photos}
trainer: {max_epochs: -1}
callbacks: {Alarms: {}, SampleMetrics: {every: 800, select: fid}}
loggers: {}
"""


def planted_run(folder: Path) -> Path:
    """Write the records of a run of 4,000 of 8,000 images by hand, with one alarm and six grids."""
    files = RunFolder(folder)
    folder.mkdir(parents=True)
    files.recipe.write_text(RECIPE)
    files.record_start({"recipe": "mine", "started": "2026-01-01T00:00:00+00:00", "python": "3.11"})
    columns = ["images_seen", "d/adversarial", "d/r1", "g/adversarial", "metrics/FD-pixels", "metrics/FD-pixels-floor"]
    lines = [",".join(columns)]
    for i in range(1, 41):
        distance = f"{1000 / i**1.2},1.5" if i % 8 == 0 else ","
        lines.append(f"{100 * i},{1 / 3 + math.sin(i)},{i / 7},{1 / i},{distance}")
    files.metrics_table.write_text("\r\n".join(lines) + "\r\n")
    signals = [
        {"score/real": 1.0 * i, "gradient/d": 2.0, "weight/g/a": 2.0**i, "weight/d/b": 1.0} for i in range(1, 13)
    ]
    rows = [{"images_seen": 320 * i, "values": values} for i, values in enumerate(signals, 1)]
    files.signals.parent.mkdir()
    files.signals.write_text("".join(json.dumps(row) + "\n" for row in rows))
    event = {"images_seen": 2000, "alarm": "loss of diversity", "reason": "<b>alike</b>", "action": "warn"}
    files.events.write_text(json.dumps(event) + "\n")
    files.real_grid.parent.mkdir()
    Image.new("RGB", (102, 52), "green").save(files.real_grid)
    for i in range(6):
        Image.new("RGB", (102, 52), (40 * i, 0, 0)).save(files.sample_grid(800 * i))
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return planted_run(tmp_path / "run")


def test_a_long_curve_is_thinned_out_and_keeps_its_extremes() -> None:
    values = np.sin(np.arange(10_000) / 50)
    values[[1234, 5678]] = [9.0, -9.0]
    seen = np.arange(1, 10_001) * 64.0
    curves = {"a": (seen.tolist(), values.tolist()), "b": (seen[::10].tolist(), values[::10].tolist())}
    panel = Panel("loss", "Loss", curves)
    found = as_values(panel, rows=400)
    assert found["total"] == 10_000
    assert len(found["x"]) <= 400
    shown = dict(zip(found["x"], found["series"][0]["values"]))
    assert (shown[1235 * 64], shown[5679 * 64]) == (9.0, -9.0)
    assert {64, 640_000} <= set(shown)
    assert all(value == values[images // 64 - 1] for images, value in shown.items())
    sparse = dict(zip(found["x"], found["series"][1]["values"]))
    assert all((value is None) == ((images // 64 - 1) % 10 != 0) for images, value in sparse.items())


def test_a_short_curve_is_kept_as_it_is() -> None:
    found = as_values(Panel("loss", "Loss", {"a": ([1, 2, 3], [0.1, 1e-9, 7.0])}))
    assert (found["x"], found["series"][0]["values"]) == ([1, 2, 3], [0.1, 1e-9, 7.0])


def test_values_that_are_not_finite_are_counted_and_gaps_are_not() -> None:
    curves = {"a": ([1, 2, 3], [1.0, math.inf, math.nan]), "b": ([2.0], [5.0])}
    found = as_values(Panel("loss", "Loss", curves))
    assert found["notFinite"] == 2
    assert [series["values"] for series in found["series"]] == [[1.0, None, None], [None, 5.0, None]]


@pytest.mark.parametrize(
    ("values", "log", "can"),
    [([1.0, 100.0], True, True), ([1.0, 2.0], False, True), ([0.0, 100.0], False, False), ([-1.0, 5.0], False, False)],
)
def test_an_axis_is_logarithmic_where_that_is_possible_and_of_use(values: list[float], log: bool, can: bool) -> None:
    found = as_values(Panel("fd", "FD", {"FD": ([1, 2], values)}, logarithmic=True))
    assert (found["log"], found["canLog"]) == (log, can)


def test_the_panels_of_a_run(run: Path) -> None:
    panels = {panel.key: panel for panel in panels_of(read_run(run))}
    assert list(panels) == ["metric-FD-pixels", "loss-d", "loss-g", "scores", "gradients"]
    assert list(panels["metric-FD-pixels"].curves) == ["FD-pixels", "real against real"]
    assert panels["metric-FD-pixels"].dashed == ("real against real",)
    assert list(panels["loss-d"].curves) == ["adversarial", "r1"]
    assert panels["gradients"].place == "signals"


def test_what_a_callback_of_the_users_own_logs_is_shown(run: Path) -> None:
    table = RunFolder(run).metrics_table
    lines = table.read_text().split("\n")
    table.write_bytes("\r\n".join([lines[0].strip() + ",mine/x", lines[1].strip() + ",2.5", ""]).encode())
    (panel,) = [panel for panel in panels_of(read_run(run)) if panel.key == "other-mine"]
    assert (panel.title, panel.curves) == ("mine", {"x": ([100.0], [2.5])})


def test_a_heat_map_shows_each_layer_relative_to_its_median(run: Path) -> None:
    (heat,) = heat_maps_of(read_run(run))
    assert heat.layers == ["g/a", "d/b"]
    pixels = np.asarray(Image.open(io.BytesIO(heat.picture)))
    assert pixels.shape == (2, 300, 4)
    assert pixels[1, -1].tolist() == [0xC9, 0xCC, 0xD0, 255]  # constant: the median
    assert pixels[0, -1].tolist() == [0xB3, 0x40, 0x1A, 255]  # 2^12 of a median of 2^6.5: more than four times
    assert pixels[0, 30].tolist() == [0x1F, 0x5F, 0xAE, 255]
    assert pixels[0, 0, 3] == 0  # before the first reading


def test_grids_are_addresses_or_whole_pictures(run: Path) -> None:
    linked = linked_frames(run)
    assert linked.frames[1] == {"images": 800, "source": "samples/000000000800.png"}
    assert (linked.real, linked.total) == ("samples/real.png", 6)
    embedded = embedded_frames(run)
    first = base64.b64decode(embedded.frames[0]["source"].removeprefix("data:image/png;base64,"))
    assert first == RunFolder(run).sample_grid(0).read_bytes()
    assert (len(embedded.frames), embedded.is_lossy) == (6, False)


def test_many_and_large_grids_are_selected_and_compressed(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames_module, "MOST_EMBEDDED", 3)
    monkeypatch.setattr(frames_module, "EMBEDDED", 100)
    found = embedded_frames(run)
    assert [frame["images"] for frame in found.frames] == [0, 1600, 4000]
    assert (found.total, found.is_lossy) == (6, True)
    kinds = [frame["source"][:15] for frame in found.frames]
    assert kinds == ["data:image/webp", "data:image/webp", "data:image/png;"]  # the newest is exact


def test_half_a_grid_of_a_killed_run_is_left_out(run: Path) -> None:
    RunFolder(run).sample_grid(1600).write_bytes(b"")
    assert [frame["images"] for frame in embedded_frames(run).frames] == [0, 800, 2400, 3200, 4000]


def test_the_state_is_json_and_the_page_names_nothing_of_this_machine(run: Path) -> None:
    state = live_state(read_run(run))
    text = page_text(state)
    assert json.loads(json.dumps(state, allow_nan=False)) == state
    assert "/home/someone" not in text
    assert "photos" in state["parts"]["settings"]
    assert str(run.parent) not in text
    assert "<b>alike" not in text
    assert "&lt;b&gt;alike" in state["parts"]["alarms"]
    assert state["alarms"] == [{"images": 2000, "name": "loss of diversity"}]
    assert state["length"] == 4000


def test_no_text_can_end_the_data() -> None:
    assert json_in_html({"name": "</script><b>"}) == '{"name":"\\u003c/script>\\u003cb>"}'


@pytest.mark.parametrize("change", ["metrics", "grid", "progress", "lock", "nothing"])
def test_the_version_changes_with_every_record(run: Path, change: str) -> None:
    files = RunFolder(run)
    before = version_of(run)
    if change == "metrics":
        files.metrics_table.write_text(files.metrics_table.read_text() + "4100,1,1,1,,\r\n")
    elif change == "grid":
        Image.new("RGB", (8, 8)).save(files.sample_grid(9999))
    elif change == "progress":
        files.progress.write_text("{}")
    elif change == "lock":
        files.lock.write_text("{}")
    assert (version_of(run) == before) == (change == "nothing")


def record(run: Path, **changes: Any) -> None:
    known = {"images_seen": 4100, "progress": 4100, "images": 8000, "images_per_second": 50.0, "seconds_left": 78.0}
    RunFolder(run).progress.write_text(json.dumps({**known, "written": time.time(), **changes}))


def lock(run: Path) -> None:
    owner = {"host": socket.gethostname(), "pid": os.getpid(), "time": "now"}
    RunFolder(run).lock.write_text(json.dumps(owner))


def test_the_status_of_a_run_that_trains(run: Path) -> None:
    assert status_of(read_run(run)).state == "not running"
    lock(run)
    assert status_of(read_run(run)).facts == ["4,000 of 8,000 images (50%)"]
    record(run)
    status = status_of(read_run(run))
    assert (status.state, status.share) == ("training", 4100 / 8000)
    assert status.facts == ["4,100 of 8,000 images (51%)", "50 images/s", "1 min 18 s left"]
    record(run, written=time.time() - 600)  # the record of a run that hangs, or of an earlier start
    assert status_of(read_run(run)).facts == ["4,100 of 8,000 images (51%)"]
    record(run, seconds_left="soon")
    assert status_of(read_run(run)).facts == ["4,000 of 8,000 images (50%)"]


def test_the_status_of_a_run_that_has_ended(run: Path) -> None:
    files = RunFolder(run)
    files.record_end({"seconds": 20.0, "images_seen": 4040, "start": 1, "complete": False})
    status = status_of(read_run(run))
    assert (status.state, status.progress, status.images_per_second) == ("stopped early", 4040, 202.0)
    files.record_start({"recipe": "mine", "resumed_from": "000000004000.ckpt"})
    files.record_end({"seconds": 80.0, "images_seen": 8000, "start": 2, "complete": True})
    status = status_of(read_run(run))
    assert (status.state, status.images_per_second) == ("finished", 50.0)
    assert status.facts == ["8,000 of 8,000 images (100%)", "50 images/s on average"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59.6, "1 min 0 s"), (3725, "1 h 2 min"), (90_000, "1 d 1 h"), (-5, "0 s")]
)
def test_a_duration_has_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_run_of_ten_thousand_rows_is_rendered_within_seconds(run: Path) -> None:
    files = RunFolder(run)
    names = [f"d/term{i}" for i in range(12)]
    rows = [f"{64 * (i + 1)}," + ",".join(f"{math.sin(i + j):.12g}" for j in range(12)) for i in range(10_000)]
    files.metrics_table.write_text("\r\n".join(["images_seen," + ",".join(names), *rows]) + "\r\n")
    began = time.process_time()
    state = live_state(read_run(run))
    text = page_text(state)
    assert time.process_time() - began < 8  # about 1 s alone; the processor's time, not that of others
    assert max(len(panel["x"]) for panel in state["panels"]) <= 1200
    assert len(text) < 3_000_000


def test_an_end_of_an_earlier_version_counts_by_its_images(run: Path) -> None:
    """The last row of its log is from before the end, and it does not say whether the run was complete."""
    RunFolder(run).record_end({"seconds": 20.0, "images_seen": 8000, "start": 1})
    assert status_of(read_run(run)).state == "finished"


def test_a_rollback_is_said_beside_the_progress(run: Path) -> None:
    event = {"images_seen": 2000, "alarm": "loss of diversity", "action": "rollback to 000000001000.ckpt"}
    RunFolder(run).events.write_text(json.dumps(event) + "\n")
    lock(run)
    record(run, progress=3100)
    assert status_of(read_run(run)).facts == [
        "3,100 of 8,000 images (39%)",
        "50 images/s",
        "1 min 18 s left",
        "4,000 images seen, including those of rounds that a rollback undid, which do not count",
    ]
