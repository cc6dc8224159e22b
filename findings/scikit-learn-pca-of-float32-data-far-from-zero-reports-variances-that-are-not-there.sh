#!/usr/bin/env bash
# Library: scikit-learn 1.9.1, sklearn.decomposition.PCA as it comes, on float32 data with over ten times as many rows as
#   columns (then it works on the covariance matrix).
# Likely guess: PCA centres the data first, so a constant that is added to all of them changes nothing that float32 can
#   hold. It is what svd_solver="full" does.
# Behaviour: the covariance is the second moment less the product of means, in the precision of the data. Of columns with
#   deviation 1 and mean 1,000, which float32 holds to four digits after the point, one of which has deviation 3, the
#   first component is said to have several times the variance that is there, and is not that column. In float64, or
#   with "full", all is well.
# Output seen:
#   mean 0, "auto": variance 8.8, cosine to the column of deviation 3 above 0.99: True
#   mean 0, "full": variance 8.8, cosine to the column of deviation 3 above 0.99: True
#   mean 1,000, "full": variance 8.8, cosine to the column of deviation 3 above 0.99: True
#   mean 1,000, "full", float64: variance 8.8, cosine to the column of deviation 3 above 0.99: True
#   mean 1,000, "auto", float64: variance 8.8, cosine to the column of deviation 3 above 0.99: True
#   mean 1,000, "auto": variance above 25: True, cosine to the column of deviation 3 above 0.99: False
set -euo pipefail
script=$(realpath "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet --disable-pip-version-check scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1
cd "$folder"
"$folder/environment/bin/python" - > seen.txt <<'PYTHON'
import numpy as np
from sklearn.decomposition import PCA

data = np.random.default_rng(0).normal(size=(5_000, 64)).astype(np.float32)
data[:, 0] *= 3


def told(mean, solver, kind=np.float32):
    found = PCA(n_components=1, svd_solver=solver).fit((data + np.float32(mean)).astype(kind))
    variance, right = found.explained_variance_[0], abs(found.components_[0, 0]) > 0.99
    said = f"variance {variance:.1f}" if variance < 25 else "variance above 25: True"
    print(
        f'mean {mean:,}, "{solver}"{", float64" if kind is np.float64 else ""}: {said}, cosine to the column of '
        f"deviation 3 above 0.99: {right}"
    )


told(0, "auto")
told(0, "full")
told(1_000, "full")
told(1_000, "full", np.float64)
told(1_000, "auto", np.float64)
told(1_000, "auto")
PYTHON
cat seen.txt
sed -n '/^# Output seen:/,/^set /s/^#   //p' "$script" | diff - seen.txt
