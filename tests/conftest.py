"""The unit tests run offline, without a window, and try the same examples every time."""

import os
import runpy
from pathlib import Path

from hypothesis import settings

os.environ.setdefault("MPLBACKEND", "Agg")
runpy.run_path(str(Path(__file__).parent / "offline" / "sitecustomize.py"))
settings.register_profile("course", deadline=None, derandomize=True)
settings.load_profile("course")
