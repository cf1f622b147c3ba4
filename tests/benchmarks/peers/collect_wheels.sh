#!/usr/bin/env bash
# Collect what the peers need beside PyTorch, transformers and accelerate, for a Linux x86-64 machine without a registry:
#   tests/benchmarks/peers/collect_wheels.sh DIR      then, there: python tests/benchmarks/peers/run.py --wheels DIR ...
# PYTHON_VERSION is that machine's Python, 3.12 by default. Wheels only, under 12 MB in all.
set -euo pipefail
folder=${1:?usage: collect_wheels.sh DIR}
version=${PYTHON_VERSION:-3.12}
python=${PYTHON:-python3}

fetch() { # fetch FOLDER REQUIREMENT...: binary wheels for the other machine
    local to=$1
    shift
    "$python" -m pip download --quiet --no-deps --only-binary=:all: --implementation cp --python-version "$version" \
        --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
        --dest "$to" "$@"
}

build() { # build FOLDER REQUIREMENT...: pure Python that is published as source only
    local to=$1
    shift
    "$python" -m pip wheel --quiet --no-deps --wheel-dir "$to" "$@"
}

mkdir -p "$folder/optimum-benchmark" "$folder/pytorch-benchmark" "$folder/kornia"
fetch "$folder/optimum-benchmark" optimum-benchmark==0.6.0 'datasets>=4,<6' dill multiprocess xxhash hydra-core==1.3.* \
    omegaconf==2.3.* colorlog flatten-dict
build "$folder/optimum-benchmark" antlr4-python3-runtime==4.9.3
fetch "$folder/pytorch-benchmark" pytorch-benchmark==0.3.6 py-cpuinfo tqdm setuptools
build "$folder/pytorch-benchmark" 'ptflops~=0.6.8' gputil
fetch "$folder/kornia" kornia==0.9.0 kornia-rs==0.2.*

size=$(find "$folder" -name '*.whl' -printf '%s\n' | awk '{ n += $1 } END { print n }')
find "$folder" -name '*.whl' -printf '%9s %f\n' | sort -rn
echo "$size bytes in all"
[ "$size" -lt 12000000 ] || { echo "over 12 MB" >&2; exit 1; }
