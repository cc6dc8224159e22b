"""`python -m zoo.hub`: list, pack, verify, convert and publish releases. The work is in
`zoo/runs/listing.py` and `zoo/runs/releasing.py`.
"""

from __future__ import annotations

from typing import Any

from zoo.config.command_line import checked_arguments, import_function, run_command
from zoo.errors import UserError

ACTIONS = {
    "show": "zoo.runs.listing.show",
    "run": "zoo.runs.releasing.pack",
    "audit": "zoo.runs.releasing.attach",
    "page": "zoo.audit.opening.write_release_report",
    "card": "zoo.runs.releasing.card",
    "verify": "zoo.runs.releasing.verify",
    "push": "zoo.runs.releasing.push",
    "convert": "zoo.runs.releasing.convert",
}
"""Import path of the function of each action, by the option that chooses it."""


def main(**options: Any) -> None:
    """List the releases of this library, or do one thing with a release.

    Without options the releases are listed. The first option below each heading chooses what is done.

    Examples:
        python -m zoo.hub
        python -m zoo.hub show=dcgan_digits
        python -m zoo.hub run=runs/dcgan_digits/TIME out=my_digits licence="CC BY 4.0" weaknesses=[TEXT,TEXT]
        python -m zoo.hub audit=my_digits report=runs/dcgan_digits/TIME/audit
        python -m zoo.hub page=my_digits out=audit.html
        python -m zoo.hub verify=my_digits
        python -m zoo.hub push=my_digits repo=ORG/NAME private=true
        python -m zoo.hub convert=netG.pth source=pytorch-tutorial-DCGAN out=converted facts.latent=normal
        python -m zoo.hub generator=G_ema.pth discriminator=D.pth source=BigGAN-PyTorch out=converted
    """
    chosen = [action for action in ACTIONS if action in options]
    if not chosen and "source" in options:  # weights in several files; with run=, `source` is that of the training data
        chosen = ["convert"]
    if not options:
        import_function("zoo.runs.listing.list_releases")()
    elif len(chosen) != 1:
        raise UserError(
            f"one of {', '.join(f'{action}=' for action in ACTIONS)} says what to do; got "
            f"{' '.join(f'{option}=' for option in options)}. python -m zoo.hub --help explains"
        )
    else:
        action = ACTIONS[chosen[0]]
        given = {option: value for option, value in options.items() if value is not None}
        arguments = checked_arguments(action, given, called=f"zoo.hub {chosen[0]}=")
        import_function(action)(**arguments)


if __name__ == "__main__":
    run_command("hub", "zoo.hub.__main__.main", actions=ACTIONS)
