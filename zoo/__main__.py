"""`python -m zoo`: what there is."""

from __future__ import annotations

from zoo.config.loading import recipe_folder, recipe_names
from zoo.releases.references import release_names

COMMANDS = {
    "python -m zoo.fit recipe=NAME": "train; recipe values follow as key=value",
    "python -m zoo.sample checkpoint=RUN": "draw images from a trained model, or from a release by its name",
    "python -m zoo.hub": "pretrained models: list, show, pack, verify, convert, publish",
    "python -m zoo.watch run=FOLDER": "one page of a run, live or finished: losses, signals, alarms, samples",
    "python -m zoo.evaluate checkpoint=RUN": "measure its samples: FID, KID, precision, recall, ...",
    "python -m zoo.audit checkpoint=RUN": "does it memorise, has it collapsed, how many images can it draw?",
}


def main() -> None:
    """Print commands, recipes and pretrained models."""
    print("commands (each explains itself with --help)")
    width = max(map(len, COMMANDS))
    for command, does in COMMANDS.items():
        print(f"  {command:{width}}  {does}")
    print("\nrecipes")
    names = recipe_names()
    width = max(map(len, names), default=0)
    for name in names:
        print(f"  {name:{width}}  {_first_comment(name)}")
    print("\npretrained models (python -m zoo.hub show=NAME)")
    for name in release_names():
        print(f"  {name}")


def _first_comment(name: str) -> str:
    with open(recipe_folder() / f"{name}.yaml", encoding="utf-8") as file:
        return file.readline().lstrip("# ").strip()


if __name__ == "__main__":
    main()
