"""`python -m zoo`: list the commands, recipes and pretrained models."""

from __future__ import annotations

from zoo.config.command_line import quiet_pipe
from zoo.config.help_text import documentation
from zoo.config.recipe_files import recipe_description, recipe_folder, recipe_names
from zoo.releases.references import release_names

COMMANDS = {
    "python -m zoo.fit recipe=NAME": "zoo.runs.fitting.main",
    "python -m zoo.sample checkpoint=RUN": "zoo.runs.drawing.main",
    "python -m zoo.hub": "zoo.hub.__main__.main",
    "python -m zoo.watch run=FOLDER": "zoo.runs.watching.command.main",
    "python -m zoo.evaluate checkpoint=RUN": "zoo.runs.measuring.main",
    "python -m zoo.compare RUN RUN ...": "zoo.runs.comparing.command.main",
    "python -m zoo.audit checkpoint=RUN": "zoo.audit.command.main",
    "python -m zoo.audit.benchmark train=FOLDER held_out=FOLDER": "zoo.audit.benchmark.command.main",
    "python -m zoo.data root=FOLDER": "zoo.runs.data_report.main",
    "python -m zoo.export checkpoint=RUN": "zoo.export.command.main",
    "python -m zoo.project checkpoint=RUN image=FILE": "zoo.project.command.main",
}
"""Import path of the function of each command, by its usual call."""


def main() -> None:
    """List the commands, recipes and pretrained models of this library."""
    _print_table(
        "commands (each explains its options with --help)",
        {call: documentation(path).docstring.summary for call, path in COMMANDS.items()},
    )
    _print_table("\nrecipes", {name: recipe_description(name) for name in recipe_names()})
    print(f"\nsettings of a recipe in the editor: # yaml-language-server: $schema={recipe_folder() / 'schema.json'}")
    _print_table("\npretrained models (python -m zoo.hub show=NAME)", dict.fromkeys(release_names(), ""))


def _print_table(title: str, rows: dict[str, str]) -> None:
    """Print a title and rows of two columns, of which the first is as wide as its longest entry."""
    print(title)
    width = max(map(len, rows), default=0)
    for name, description in rows.items():
        print(f"  {name:{width}}  {description}".rstrip())


if __name__ == "__main__":
    with quiet_pipe():
        main()
