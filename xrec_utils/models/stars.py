"""Models that predict stars. They answer another question than a recommender: how much,
not which.

All take codes from 0 and the stars, `.fit(users, items, values)`, and give
`.predict(users, items)`, stars within the range seen in training. For users and items
without a training rating the biases that are known remain.
"""

from typing import Self

import numpy as np

from xrec_utils.checks import aligned
from xrec_utils.contract import check_count, item_codes
from xrec_utils.models.classic import keep_largest


class Baseline:
    """μ + b_u + b_i: the mean, how generous the user is, how well liked the film is
    (Koren 2010, section 2.1, doi:10.1145/1644873.1644874).

    Biases are means of what is left over, shrunk towards zero.

    Args:
        user_shrink: so many more ratings with nothing left over count as seen of a
            user.
        item_shrink: the same of a film.
        rounds: turns between users and films; a few settle the biases.

    `fit(users, items, values)` takes codes and stars, each (n,), and gives the model
    back; `predict(users, items)` gives stars (n,).

    Raises:
        ValueError: there is no rating to fit, codes are negative or none, stars are not
            finite, or pandas columns have different indexes.

    Example:
        >>> users = np.array([0, 0, 1, 1])
        >>> items = np.array([0, 1, 0, 1])
        >>> stars = np.array([5.0, 3.0, 4.0, 2.0])
        >>> model = Baseline(user_shrink=0, item_shrink=0).fit(users, items, stars)
        >>> model.predict(np.array([0, 9]), np.array([1, 1])).tolist()  # 9 is unknown
        [3.0, 2.5]
    """

    def __init__(
        self, user_shrink: float = 5.0, item_shrink: float = 5.0, rounds: int = 10
    ) -> None:
        self.user_shrink = user_shrink
        self.item_shrink = item_shrink
        self.rounds = rounds

    def fit(self, users: np.ndarray, items: np.ndarray, values: np.ndarray) -> Self:
        """Estimate μ, `user_bias` and `item_bias` (one spare entry at the end, for
        everybody unseen, stays 0).
        """
        users, items, values = self._start(users, items, values)
        above = values - self.mean
        for _ in range(self.rounds):
            self.item_bias = shrunk_means(
                codes=items,
                values=above - self.user_bias[users],
                shrink=self.item_shrink,
            )
            self.user_bias = shrunk_means(
                codes=users,
                values=above - self.item_bias[items],
                shrink=self.user_shrink,
            )
        return self

    def _start(
        self, users: np.ndarray, items: np.ndarray, values: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The mean, the range of the stars, and biases of zero; what came in, checked.

        Raises ValueError on codes that are negative or none, stars that are not finite,
        and pandas columns of different indexes.
        """
        aligned(users=users, items=items, values=values)
        users = item_codes("users", users)
        items = item_codes("items", items)
        self.mean = values.mean()
        self.low = values.min()
        self.high = values.max()
        self.user_bias = np.zeros(users.max() + 2)
        self.item_bias = np.zeros(items.max() + 2)
        return users, items, np.asarray(values)

    def expected(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """μ + b_u + b_i, not clipped."""
        return (
            self.mean
            + self.user_bias[known(users, self.user_bias)]
            + self.item_bias[known(items, self.item_bias)]
        )

    def predict(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Stars, shape (n,)."""
        return np.clip(
            self.expected(users, items),
            self.low,
            self.high,
        )


def shrunk_means(codes: np.ndarray, values: np.ndarray, shrink: float) -> np.ndarray:
    """Sum of `values` per code divided by (count + shrink); (highest code + 2,), the
    last entry is 0.
    """
    size = codes.max() + 2
    count = np.bincount(codes, minlength=size)
    # a code without ratings divides 0 by a little, not by 0
    return np.bincount(
        codes,
        weights=values,
        minlength=size,
    ) / np.maximum(count + shrink, 1e-12)


def known(codes: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Codes as rows of `table`; codes beyond training become its last row, which is
    zero. ValueError for negative ones, which NumPy would count from the end.
    """
    return np.minimum(item_codes("codes", codes), len(table) - 1)


class MatrixFactorisation(Baseline):
    """μ + b_u + b_i + p_u·q_i, trained by stochastic gradient descent (Koren et al.
    2009, doi:10.1109/MC.2009.263).

    Each step moves biases and vectors against the gradient of ½ (error² + penalty (b_u²
    + b_i² + |p_u|² + |q_i|²)), summed over a batch of ratings; a batch of one is the
    textbook loop.

    Args:
        width: length of the vectors.
        rate: step length.
        penalty: λ of the squared lengths.
        epochs: passes over the ratings.
        batch: ratings per step.
        seed: start of the vectors and order of the ratings.

    `fit(users, items, values)` takes codes and stars, each (n,), and gives the model
    back; `predict(users, items)` gives stars (n,).

    Raises:
        ValueError: there is no rating to fit, codes are negative or none, stars are not
            finite, or pandas columns have different indexes.

    Example:
        >>> users = np.array([0, 0, 1, 1])
        >>> items = np.array([0, 1, 0, 1])
        >>> stars = np.array([5.0, 1.0, 1.0, 5.0])  # opposite tastes
        >>> model = MatrixFactorisation(width=2, rate=0.1, penalty=0.01, epochs=500)
        >>> model.fit(users, items, stars).predict(users, items).round().tolist()
        [5.0, 1.0, 1.0, 5.0]
    """

    def __init__(
        self,
        width: int = 50,
        rate: float = 0.02,
        penalty: float = 0.1,
        epochs: int = 20,
        batch: int = 1000,
        seed: int = 0,
    ) -> None:
        self.width = width
        self.rate = rate
        self.penalty = penalty
        self.epochs = epochs
        self.batch = batch
        self.seed = seed

    def fit(self, users: np.ndarray, items: np.ndarray, values: np.ndarray) -> Self:
        """Run the epochs; `user_factors` and `item_factors` have one spare row for
        everybody unseen, it stays 0.
        """
        rng = np.random.default_rng(self.seed)
        users, items, values = self._start(users, items, values)
        self.user_factors = self._draw(rng, users)
        self.item_factors = self._draw(rng, items)
        batches = -(-len(values) // self.batch)
        for _ in range(self.epochs):
            for rows in np.array_split(rng.permutation(len(values)), batches):
                sgd_step(
                    self,
                    users[rows],
                    items[rows],
                    values[rows],
                )
        return self

    def _draw(self, rng: np.random.Generator, codes: np.ndarray) -> np.ndarray:
        """Small random vectors, zeros for codes without a rating."""
        factors = rng.normal(
            0,
            0.1,
            (codes.max() + 2, self.width),
        )
        count = np.bincount(codes, minlength=len(factors))
        return factors * (count > 0)[:, None]

    def expected(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """μ + b_u + b_i + p_u·q_i, not clipped."""
        return super().expected(users, items) + np.einsum(
            "nd,nd->n",
            self.user_factors[known(users, self.user_factors)],
            self.item_factors[known(items, self.item_factors)],
        )


def sgd_step(
    model: MatrixFactorisation, users: np.ndarray, items: np.ndarray, values: np.ndarray
) -> None:
    """One step of gradient descent on a batch of ratings; who stands in it twice moves
    by the sum.
    """
    error = values - model.expected(users, items)
    p = model.user_factors[users]
    q = model.item_factors[items]
    moves = (
        (model.user_bias, users, error - model.penalty * model.user_bias[users]),
        (model.item_bias, items, error - model.penalty * model.item_bias[items]),
        (model.user_factors, users, error[:, None] * q - model.penalty * p),
        (model.item_factors, items, error[:, None] * p - model.penalty * q),
    )
    # add.at adds twice where a code stands twice; `+=` would keep the last
    for table, codes, descent in moves:
        np.add.at(table, codes, model.rate * descent)


class ItemNeighbours:
    """Baseline plus what the user gave to similar films beyond it (Koren 2010,
    doi:10.1145/1644873.1644874).

    r_ui = b_ui + Σ_j s_ij (r_uj - b_uj) / Σ_j s_ij over the `n_neighbours` most similar
    films j that the user rated, with s_ij the correlation of what two films' common
    raters left over, shrunk by n_ij / (n_ij + shrink); only positive similarities
    count.

    Args:
        n_neighbours: films that speak at most.
        shrink: of the correlations, in common raters.

    `fit(users, items, values)` takes codes and stars, each (n,), and gives the model
    back; `predict(users, items)` gives stars (n,).

    Raises:
        ValueError: there is no rating to fit, codes are negative or none, stars are not
            finite, or pandas columns have different indexes.

    Example:
        >>> users = np.array([0, 0, 1, 1, 2])
        >>> items = np.array([0, 1, 0, 1, 0])
        >>> stars = np.array([5.0, 5.0, 1.0, 1.0, 5.0])  # films 0 and 1 are alike
        >>> model = ItemNeighbours(shrink=0.1).fit(users, items, stars)
        >>> asked = np.array([2]), np.array([1])
        >>> bool(model.predict(*asked) > model.baseline.predict(*asked))
        True
    """

    def __init__(self, n_neighbours: int = 40, shrink: float = 100.0) -> None:
        self.n_neighbours = n_neighbours
        self.shrink = shrink

    def fit(self, users: np.ndarray, items: np.ndarray, values: np.ndarray) -> Self:
        """Fit the baseline; `left` (users, items) is what it leaves over, `similarity`
        (items, items) compares it.
        """
        check_count("n_neighbours", self.n_neighbours)
        self.baseline = Baseline().fit(users, items, values)
        # (users + 1, items + 1): the last row and column stand for everybody unseen
        shape = len(self.baseline.user_bias), len(self.baseline.item_bias)
        self.left = np.zeros(shape, dtype=np.float32)
        self.rated = np.zeros(shape, dtype=np.float32)
        self.left[users, items] = values - self.baseline.expected(users, items)
        self.rated[users, items] = 1
        self.similarity = shrunk_correlation(self.left, self.rated, self.shrink)
        return self

    def predict(
        self, users: np.ndarray, items: np.ndarray, batch: int = 1000
    ) -> np.ndarray:
        """Stars, shape (n,)."""
        expected = self.baseline.expected(users, items)
        users = known(users, self.left)
        items = known(items, self.left.T)
        for start in range(0, len(users), batch):
            rows = slice(start, start + batch)
            near = keep_largest(
                self.similarity[items[rows]] * self.rated[users[rows]],
                self.n_neighbours,
            )
            gained = np.einsum(
                "ni,ni->n",
                near,
                self.left[users[rows]],
            )
            # nobody near: 0 divided by a little
            expected[rows] += gained / np.maximum(near.sum(axis=1), 1e-9)
        return np.clip(
            expected,
            self.baseline.low,
            self.baseline.high,
        )


def shrunk_correlation(
    left: np.ndarray, rated: np.ndarray, shrink: float
) -> np.ndarray:
    """Correlation of columns over the rows that both have, times n / (n + shrink);
    negative ones and self are 0.
    """
    # (items, items): common raters, and the squares of the row's film over them
    common = rated.T @ rated
    squares = (left**2).T @ rated
    lengths = np.sqrt(np.maximum(squares * squares.T, 1e-12))
    similarity = left.T @ left / lengths * common / (common + shrink)
    np.fill_diagonal(similarity, 0)
    return np.maximum(similarity, 0)
