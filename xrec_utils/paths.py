"""Where things lie in the repository.

DATA holds the shipped data sets, answers and weights; NOTEBOOKS the chapters.

>>> DATA.relative_to(ROOT).as_posix()
'data'
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "data"
NOTEBOOKS = ROOT / "notebooks"
