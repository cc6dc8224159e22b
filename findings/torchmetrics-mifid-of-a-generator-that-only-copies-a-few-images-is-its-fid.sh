#!/usr/bin/env bash
# Library: torchmetrics 1.9.0, its MemorizationInformedFrechetInceptionDistance (MiFID; Bai et al. 2021).
# Likely guess: a generator of which every image is a copy of a training image is punished without bound, as in the paper,
#   whose memorisation distance is a mean over generated images: of the distance to the nearest training image.
# Behaviour: the mean is over the real images, of the distance to the nearest generated one. It tells how many real images
#   were copied, not how many generated ones are copies. A generator that shows exact copies of 10 of 500 images again and
#   again is not punished: its MiFID is its FID. Exchanging the two sides gives the paper's number.
# Output seen:
#   only copies of 10 of 500 real images: MiFID / FID 1.0, with the sides exchanged above 1e12: True
#   only copies, of all of them, of half of them twice: MiFID / FID above 1e12: True, with the sides exchanged True
set -euo pipefail
script=$(realpath "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 numpy==2.4.6 torchmetrics==1.9.0
cd "$folder"
"$folder/environment/bin/python" - > seen.txt 2> notes.txt <<'PYTHON'
import torch
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.mifid import MemorizationInformedFrechetInceptionDistance


class Features(torch.nn.Module):
    """Pixels as features: what is measured here does not depend on the network."""

    num_features = 16

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1).double()


def measured(kind, real, fake):
    metric = kind(feature=Features()).set_dtype(torch.float64)
    metric.update(real, real=True)
    metric.update(fake, real=False)
    return metric.compute().item()


def ratio(real, fake):
    return measured(MemorizationInformedFrechetInceptionDistance, real, fake) / measured(
        FrechetInceptionDistance, real, fake
    )


torch.manual_seed(0)


def images(n):
    """Images (N, 1, 4, 4) of which no two point in nearly the same direction: one to three bright pixels."""
    drawn = torch.rand(n, 16)
    return ((drawn > 0.85) * 200 * drawn + drawn * 5).byte().view(n, 1, 4, 4)


real = images(500)
few = real[:10].repeat(50, 1, 1, 1)
print(
    f"only copies of 10 of 500 real images: MiFID / FID {ratio(real, few):.1f}, with the sides exchanged above 1e12: "
    f"{ratio(few, real) > 1e12}"
)
uneven = torch.cat([real, real[:250]])
print(
    f"only copies, of all of them, of half of them twice: MiFID / FID above 1e12: {ratio(real, uneven) > 1e12}, with the "
    f"sides exchanged {ratio(uneven, real) > 1e12}"
)
PYTHON
cat seen.txt
sed -n '/^# Output seen:/,/^set /s/^#   //p' "$script" | diff - seen.txt
