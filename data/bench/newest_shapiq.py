"""Estimators of another Python's shapiq, for the race (xrec_tools.bench.race).

    python -m xrec_tools.bench.race newest PYTHON      starts it as: PYTHON FILE ADDRESS

It stands outside the package, which its Python cannot import: it needs NumPy and shapiq
alone. It is told (class, options, players, budget, seed), asks for the scores of groups
bool (m, n), and answers (values (n,), seconds without the scores, scores asked).
"""

import sys
from multiprocessing.connection import Client
from time import perf_counter

import numpy as np
import shapiq

with Client(sys.argv[1]) as line:
    asked = waited = 0.0

    def score(groups: np.ndarray) -> np.ndarray:
        """Scores (m,) of groups (m, n), from the other side."""
        global asked, waited
        started = perf_counter()
        groups = np.atleast_2d(groups).astype(bool)
        line.send(groups)
        answers = line.recv()
        asked += len(groups)
        waited += perf_counter() - started
        return answers

    while told := line.recv():
        kind, options, n, budget, seed = told
        asked = waited = 0.0
        started = perf_counter()
        approximator = getattr(shapiq, kind)(n=n, random_state=seed, **options)
        found = approximator.approximate(budget, score)
        values = np.array([found[(i,)] for i in range(n)])
        line.send((values, perf_counter() - started - waited, int(asked)))
