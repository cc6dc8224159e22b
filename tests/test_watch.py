"""The page of a run."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

import zoo
from tests.runs.test_watching import planted_run
from zoo.config.command_line import run_command
from zoo.errors import CheckpointError, UserError
from zoo.io.group_folder import GroupFolder
from zoo.runs.history import read_run
from zoo.runs.watching.page import write_page
from zoo.watch import main, watch

VOID = {"meta", "link", "img", "br", "input"}


class Structure(HTMLParser):
    """Checks that tags nest, and collects headings, references and texts."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[str] = []
        self.references: list[str] = []
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self.references += [v for k, v in attributes if k in ("src", "href", "xlink:href", "action") and v]

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.open and self.open[-1] in ("h1", "h2"):
            self.headings.append(data)


def structure(html: str) -> Structure:
    found = Structure()
    found.feed(html)
    assert found.open == []
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "a<b>"
    zoo.fit(
        "dcgan_digits",
        out=folder,
        images=64 * 24,
        model={"width": 4},
        trainer={"accelerator": "cpu", "log_every_n_steps": 6},
        callbacks={
            "SampleGrid": {"every": 640},
            "SampleMetrics": None,
            "SaveEvery": None,
            "Alarms": {"rounds": 2, "every": 256},
        },
    )
    event = {
        "images_seen": 640,
        "round": 10,
        "alarm": "loss of diversity",
        "reason": "all <the> same",
        "action": "warn",
        "healthy": None,
    }
    (folder / "alarms" / "events.jsonl").write_text(json.dumps(event) + "\n")
    return folder


def test_the_page_holds_everything_and_fetches_nothing(run: Path, tmp_path: Path) -> None:
    path = watch(str(run), out=str(tmp_path / "page.html"))
    html = path.read_text()
    found = structure(html)
    assert found.headings == [
        "DCGAN on Digits: a<b>",
        "Samples",
        "How good is it?",
        "Alarms",
        "Curves",
        "Settings and environment",
        "Signals",
    ]
    assert "all <the> same" in found.text
    assert "1,536 of 1,536 images (100%)" in found.text
    assert "seed 0" in found.text
    assert "Not measured: no number in this run says how good its images are." in found.text
    assert all(reference.startswith(("data:", "#")) for reference in found.references)
    assert found.tags.count("script") == 2  # the data, and the script
    assert "default-src 'none'" in html
    assert "http" not in re.sub(r"http-equiv|http://www.w3.org/2000/svg", "", html)
    assert "color-scheme: light dark" in html
    assert "prefers-reduced-motion: reduce" in html
    data = json.loads(html.split('id="state">')[1].split("</script>")[0])
    assert [frame["images"] for frame in data["frames"]] == [0, 640, 1280, 1536]
    assert {panel["key"] for panel in data["panels"]} >= {"loss-d", "loss-g", "scores", "diversity", "gradients"}
    assert data["alarms"] == [{"images": 640, "name": "loss of diversity"}]
    (losses,) = [panel for panel in data["panels"] if panel["key"] == "loss-d"]
    assert losses["x"] == [384, 768, 1152, 1536]
    assert losses["series"][0]["values"] == read_run(run).metrics["d/adversarial"][1]


def test_the_plots_are_written_beside_the_page(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    watch(str(run), out=str(tmp_path / "page.html"))
    names = {path.stem for path in (tmp_path / "watch").glob("*.png")}
    assert names >= {"loss-d", "loss-g", "scores", "diversity", "gradients", "activation", "weight", "sigma1"}
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in (tmp_path / "watch").glob("*.png"))


def test_without_matplotlib_there_is_the_page_alone(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.rendering.svg.can_plot", lambda: False)
    watch(str(run), out=str(tmp_path / "page.html"))
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_signals_and_numbers_are_read_as_they_were_written(run: Path) -> None:
    found = read_run(run)
    assert found.images_seen == 1536
    places, values = found.signals["diversity"]
    assert places == [128.0 * i for i in range(1, 13)]
    rows = [json.loads(line) for line in (run / "alarms" / "signals.jsonl").read_text().splitlines()]
    assert values == [row["values"]["diversity"] for row in rows]
    assert len(found.signals["sigma1/g/stem.1"][0]) == 6
    assert found.metrics["d/adversarial"][0] == [384, 768, 1152, 1536]
    assert found.ended


def test_a_run_in_progress_and_one_without_alarms_say_so(run: Path, tmp_path: Path) -> None:
    for name in ("recipe.yaml", "environment.jsonl"):
        (tmp_path / name).write_text((run / name).read_text())
    found = structure(watch(str(tmp_path)).read_text())
    assert "Not running 0 of 1,536 images (0%)" in found.text
    assert "No reading has been written yet." in found.text
    assert "There is no grid of samples yet." in found.text
    recipe = (run / "recipe.yaml").read_text()
    (tmp_path / "recipe.yaml").write_text(recipe[: recipe.index("callbacks:")] + "callbacks: {}\nloggers: {}\n")
    found = structure(watch(str(tmp_path)).read_text())
    assert "This run has no callback Alarms" in found.text.replace("`", "")


def test_a_run_that_was_killed_once_and_resumed_has_ended_when_its_last_start_has(run: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text((run / "recipe.yaml").read_text())
    start = (run / "environment.jsonl").read_text()
    (tmp_path / "environment.jsonl").write_text(2 * start)
    assert not read_run(tmp_path).ended
    (tmp_path / "ends.jsonl").write_text(json.dumps({"seconds": 1.0, "images_seen": 1536, "start": 2}) + "\n")
    assert read_run(tmp_path).ended
    (tmp_path / "environment.jsonl").write_text(3 * start)
    assert not read_run(tmp_path).ended


def test_half_a_line_of_a_killed_run_is_passed_over(run: Path, tmp_path: Path) -> None:
    for name in ("recipe.yaml", "environment.jsonl"):
        (tmp_path / name).write_text((run / name).read_text())
    (tmp_path / "metrics.csv").write_text("images_seen,d/adversarial\n64,1.5\n128,-")
    (tmp_path / "alarms").mkdir()
    (tmp_path / "alarms" / "events.jsonl").write_text('{"images_seen": 64}\n')
    assert read_run(tmp_path).metrics == {"d/adversarial": ([64.0], [1.5])}
    structure(watch(str(tmp_path)).read_text())


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"run": "nowhere"}, "run: there is no folder nowhere"),
        ({"run": ".", "out": "page.txt"}, "out: a file ending in .html; got 'page.txt'"),
        ({"run": ".", "every": -1}, "every: seconds, 0 for once; got -1"),
    ],
)
def test_faults_teach(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(UserError) as caught:
        watch(**arguments)
    assert text in str(caught.value)


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"is no run folder: it has no recipe.yaml"):
        watch(str(tmp_path))


def test_the_command_checks_its_words_and_says_where_the_page_is(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for word, code in ((f"rum={run}", 2), (f"run={run}", 0)):
        with pytest.raises(SystemExit) as ended:
            run_command("watch", main, [word, f"out={tmp_path / 'x.html'}"])
        assert ended.value.code == code
    text = capsys.readouterr()
    assert "Did you mean run" in text.err
    assert text.out == f"page: {tmp_path / 'x.html'}\n"


def test_a_page_of_a_run_in_progress_loads_itself_again(run: Path, tmp_path: Path) -> None:
    records = read_run(run)
    write_page(records, tmp_path / "live.html", refresh=5)
    html = (tmp_path / "live.html").read_text()
    assert '<meta http-equiv="refresh" content="5">' in html
    structure(html)
    write_page(records, tmp_path / "ended.html")
    assert 'http-equiv="refresh"' not in (tmp_path / "ended.html").read_text()


def test_a_group_has_a_page_with_the_page_of_each_run(run: Path, tmp_path: Path) -> None:
    group = tmp_path / "group"
    for name in ("seed=0", "seed=1"):
        shutil.copytree(run, group / name)
    recipe = group / "seed=1" / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("seed: 0", "seed: 1"))
    GroupFolder(group).write(recipe, {}, {"seed": ["0", "1"]})
    path = watch(str(group))
    assert path == group / "watch.html"
    found = structure(path.read_text())
    links = [reference for reference in found.references if not reference.startswith("data:")]
    assert links == ["seed=0/watch.html", "seed=1/watch.html"]
    assert all((group / link).is_file() for link in links)
    assert "No comparison: these runs recorded no metrics." in found.text
    assert "finished, 1,536 of 1,536 images (100%)" in found.text


def test_runs_of_which_one_has_metrics_are_compared(tmp_path: Path) -> None:
    runs = [planted_run(tmp_path / name) for name in ("one", "two")]
    recipe = runs[1] / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("seed: 3", "seed: 4"))
    path = watch([str(run) for run in runs], out=str(tmp_path / "both.html"))
    text = structure(path.read_text()).text
    assert "FD-pixels on training images" in text
    assert "11.9" in text  # 1000 / 40^1.2, the last value of both
    with pytest.raises(UserError) as caught:
        watch(f"{runs[0]},{runs[1]}")
    assert str(caught.value) == "out: the page of several runs needs a file, such as out=runs.html; or serve=true"


def test_links_to_runs_with_odd_names_can_be_followed(run: Path, tmp_path: Path) -> None:
    """A browser takes what follows # or ? for no part of the path, and %41 for an A."""
    names = ["a#1", "b?c", "50%41", "d e"]
    for name in names:
        shutil.copytree(run, tmp_path / name)
    path = watch(",".join(str(tmp_path / name) for name in names), out=str(tmp_path / "runs.html"))
    links = [each for each in structure(path.read_text()).references if not each.startswith("data:")]
    assert [unquote(urlsplit(link).path) for link in links] == [f"{name}/watch.html" for name in names]
    assert not any(urlsplit(link).fragment or urlsplit(link).query for link in links)
