"""Commands as such: their exit codes, the channel of a fault, and words checked against a function."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.commands import command
from zoo.config.command_line import checked_arguments, run_command
from zoo.errors import RecipeError, UserError


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (1, 1), (143, 143)])
def test_a_command_ends_with_the_code_it_returns(returned: int | None, code: int) -> None:
    assert command("a=1", function=lambda **words: returned) == code


def test_a_users_fault_is_told_on_one_channel_under_the_commands_name(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(**words: Any) -> None:
        raise UserError(f"cannot do {words}")

    assert command("a=1", "b.c=x", name="fit", function=refuse) == 2
    assert capsys.readouterr() == ("", "zoo.fit: cannot do {'a': 1, 'b': {'c': 'x'}}\n")


def test_a_fault_of_the_zoo_itself_keeps_its_traceback() -> None:
    def broken(**words: Any) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_command("fit", broken, [])


def test_words_of_a_command_are_checked_against_its_function() -> None:
    def work(n: int, colour: str = "grey") -> None: ...

    work.__annotations__ = {"n": int, "colour": str}
    assert checked_arguments(work, {"n": "3"}) == {"n": 3, "colour": "grey"}
    with pytest.raises(RecipeError) as caught:
        checked_arguments(work, {"color": "red"})
    assert str(caught.value) == (
        "the command line has 2 faults\n"
        "  color: work has no setting of that name. Did you mean colour?\n"
        "  n: missing; work needs it (an integer)"
    )
