"""Models of other libraries, measured beside ours.

They get the same splits and the same number of settings to try. `implicit` (ALS, BPR,
item-kNN) and `cornac` (EASE) are installed for the bench only
(requirements-bench.lock). Each function fits one model on the training part of a split
and returns it behind the course's contract.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

from xrec_utils.contract import History, item_columns
from xrec_utils.data.splits import Split
from xrec_utils.models.specs import grid


@dataclass(frozen=True)
class Peer:
    """A fitted model that scores histories.

    from_rows: scores of histories given as a matrix (n, n_items) of zeros and ones.
    """

    name: str
    n_items: int
    from_rows: Callable[[sparse.csr_matrix], np.ndarray]

    def score(
        self, histories: Sequence[History], items: np.ndarray | None = None
    ) -> np.ndarray:
        """Scores of shape (n histories, n items or len(items))."""
        scores = self.from_rows(as_rows(histories, self.n_items))
        return item_columns(np.asarray(scores, dtype=np.float32), items)


@dataclass(frozen=True)
class UserPeer:
    """A fitted model that knows users by code only; `of_users` takes codes (n,)."""

    name: str
    n_items: int
    of_users: Callable[[np.ndarray], np.ndarray]

    def score_users(self, users: np.ndarray) -> np.ndarray:
        """Scores of shape (n users, n_items)."""
        return np.asarray(self.of_users(users), dtype=np.float32)


def as_rows(histories: Sequence[History], n_items: int) -> sparse.csr_matrix:
    """Histories as a sparse float32 matrix of ones, (n, n_items)."""
    # an empty array in front: there may be no history at all
    items = np.concatenate([np.empty(0, dtype=np.int32), *histories])
    return sparse.csr_matrix(
        (
            np.ones(len(items), np.float32),
            items,
            # row r holds items[ends[r]:ends[r + 1]]
            np.cumsum([0, *map(len, histories)]),
        ),
        shape=(len(histories), n_items),
    )


def implicit_als(split: Split, seed: int, **settings: Any) -> Peer:
    """Matrix factorisation for implicit feedback (Hu et al. 2008).

    A history is folded in by one least-squares step.
    """
    from implicit.als import AlternatingLeastSquares

    # the library runs threads of its own and asks for this
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(**settings, random_state=seed, use_gpu=False)
        model.fit(as_rows(split.train_histories(), split.n_items), show_progress=False)

    def from_rows(rows: sparse.csr_matrix) -> np.ndarray:
        return (
            model.recalculate_user(np.arange(rows.shape[0]), rows)
            @ model.item_factors.T
        )

    return Peer("implicit_als", split.n_items, from_rows)


def implicit_bpr(split: Split, seed: int, **settings: Any) -> UserPeer:
    """Matrix factorisation trained on pairs of items (Rendle et al. 2009)."""
    from implicit.bpr import BayesianPersonalizedRanking

    # one thread, so that a run can be repeated
    model = BayesianPersonalizedRanking(
        **settings, random_state=seed, use_gpu=False, num_threads=1
    )
    model.fit(as_rows(split.train_histories(), split.n_items), show_progress=False)

    def of_users(users: np.ndarray) -> np.ndarray:
        return model.user_factors[users] @ model.item_factors.T

    return UserPeer("implicit_bpr", split.n_items, of_users)


def implicit_item_knn(split: Split, seed: int, neighbours: int, b: float) -> Peer:
    """Item neighbours by the cosine of BM25-weighted columns."""
    from implicit.nearest_neighbours import ItemItemRecommender, bm25_weight

    # the library weighs rows of items; K1 is its default
    seen = as_rows(split.train_histories(), split.n_items)
    weighted = bm25_weight(
        seen.T,
        K1=100,
        B=b,
    ).T.tocsr()
    model = ItemItemRecommender(K=neighbours)
    model.fit(weighted, show_progress=False)

    def from_rows(rows: sparse.csr_matrix) -> np.ndarray:
        return (rows @ model.similarity).toarray()

    return Peer("implicit_item_knn", split.n_items, from_rows)


def cornac_ease(split: Split, seed: int, **settings: Any) -> Peer:
    """EASE (Steck 2019) as Cornac has it; `posB` drops the negative weights."""
    from cornac.data import Dataset
    from cornac.models import EASE

    triples = []
    for user, items in enumerate(split.train_histories()):
        triples += [(user, item, 1.0) for item in items.tolist()]
    data = Dataset.build(triples)
    model = EASE(**settings, verbose=False)
    model.fit(data)
    weights = np.zeros((split.n_items, split.n_items), dtype=np.float32)
    # the library knows only items that were seen, in an order of its own
    items = np.array(list(data.iid_map))
    weights[np.ix_(items, items)] = model.B
    return Peer("cornac_ease", split.n_items, lambda rows: rows @ weights)


@dataclass(frozen=True)
class PeerSpec:
    """The package of a peer, how it is fitted, and the settings to try."""

    package: str
    fit: Callable[..., Peer | UserPeer]
    grid: tuple[dict[str, Any], ...]


PEERS: dict[str, PeerSpec] = {
    "implicit_als": PeerSpec(
        "implicit", implicit_als, grid(factors=(32, 64), regularization=(10.0, 30.0))
    ),
    "implicit_bpr": PeerSpec(
        "implicit", implicit_bpr, grid(factors=(32, 64), learning_rate=(0.01, 0.03))
    ),
    "implicit_item_knn": PeerSpec(
        "implicit", implicit_item_knn, grid(neighbours=(50, 200), b=(0.0, 0.2))
    ),
    "cornac_ease": PeerSpec(
        "cornac", cornac_ease, grid(lamb=(200.0, 500.0), posB=(False, True))
    ),
}


def missing() -> list[str]:
    """The peers' packages that are not installed here."""
    packages = sorted({spec.package for spec in PEERS.values()})
    return [package for package in packages if not find_spec(package)]


def installed(name: str) -> bool:
    """Whether a model can be run here: ours, or a peer whose package is installed."""
    return name not in PEERS or PEERS[name].package not in missing()
