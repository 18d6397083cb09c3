"""The recommenders without a network, against definitions worked out another way."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.neighbors import NearestNeighbors

from xrec_utils.contract import HistoryModel, item_columns, multi_hot
from xrec_utils.models.classic import (
    EASE,
    ContentBased,
    HybridEASE,
    ImplicitALS,
    ItemKNN,
    Popularity,
    UserKNN,
    item_features,
)

HISTORIES = [np.array(h) for h in ([0, 1, 2], [0, 1], [0, 3], [2, 3, 4, 0])]
EMPTY = np.array([], dtype=int)
ITEMS = pd.DataFrame(
    {
        "title": ["Toy Story", "Toy Story 2", "Heat", "The Heat", "Nameless"],
        "year": pd.array([1995, 1999, 1995, 2013, pd.NA], dtype="Int64"),
        "genres": ["Animation|Comedy", "Animation|Comedy", "Crime", "Comedy|Crime", ""],
    }
)
MODELS = [
    Popularity(),
    ContentBased(ITEMS),
    UserKNN(2),
    ItemKNN(3, 1.0),
    EASE(2.0),
    HybridEASE(ITEMS, 2.0, 1.0),
    ImplicitALS(3),
]


def many(n_users=40, n_items=15):
    """Random histories of 1 to 8 films."""
    rng = np.random.default_rng(0)
    return [
        rng.choice(n_items, rng.integers(1, 9), replace=False) for _ in range(n_users)
    ]


@pytest.fixture(params=MODELS, ids=lambda model: model.name)
def model(request):
    return request.param.fit(HISTORIES, 5)


def test_multi_hot_marks_what_is_in_the_history():
    assert multi_hot([np.array([2, 0]), EMPTY], 3).tolist() == [[1, 0, 1], [0, 0, 0]]


def test_popularity_counts_users():
    scores = Popularity().fit(HISTORIES, 5).score([EMPTY])
    assert np.allclose(scores, np.log1p([4, 2, 2, 2, 1]))


def test_features_by_hand():
    """Genres of Toy Story 2 and The Heat: (a, c) and (c, k), idf = ln((1 + 5) / (1 +
    n)) + 1, one shared word.
    """
    features = item_features(ITEMS, year=0, title=0).toarray()
    animation, comedy, crime = np.log(6 / 3) + 1, np.log(6 / 4) + 1, np.log(6 / 3) + 1
    cosine = comedy**2 / np.hypot(animation, comedy) / np.hypot(comedy, crime)
    assert features[1] @ features[3] == pytest.approx(cosine)
    assert not features[4].any() and np.allclose(
        np.linalg.norm(features[:4], axis=1), 1
    )


def test_each_field_links_films():
    def alike(**weights):
        features = item_features(ITEMS, **weights).toarray()
        return features[0] @ features[2], features[2] @ features[
            3
        ]  # one year; one title word, "the" does not count

    (year, _), (no_year, words), (_, no_words) = (
        alike(),
        alike(year=0),
        alike(year=0, title=0),
    )
    assert year > 0 == no_year
    assert words > no_words


def test_a_field_that_nobody_has_is_left_out():
    bare = ITEMS.assign(genres="", year=pd.array([pd.NA] * 5, dtype="Int64"))
    features = item_features(bare).toarray()
    assert features.shape == (5, 4)  # heat, nameless, story, toy
    assert features[0] @ features[1] == pytest.approx(1)


def test_items_without_any_word_are_refused_with_a_way_out():
    none = pd.array([pd.NA] * 5, dtype="Int64")
    bare = ITEMS.assign(title="A", genres="", year=none)
    with pytest.raises(ValueError, match=r"items: no genres, no year.*such as ease"):
        item_features(bare)


def test_content_is_the_mean_profile_times_the_film():
    model = ContentBased(ITEMS).fit([], 5)
    features = item_features(ITEMS).toarray()
    assert np.allclose(
        model.score([np.array([0, 3, 4])])[0],
        features @ features[[0, 3, 4]].mean(axis=0),
    )
    assert model.score([np.array([0])])[0].argsort()[-2:].tolist() == [1, 0]


def test_user_knn_sums_over_the_neighbours_sklearn_finds():
    histories, model = many(), UserKNN(7).fit(many(), 15)
    seen = multi_hot(histories, 15)
    search = NearestNeighbors(n_neighbors=7, metric="cosine").fit(seen)
    asked = [np.array([1, 4, 6, 11, 13]), np.array([0, 2, 3, 5, 7, 9])]
    distances, who = search.kneighbors(multi_hot(asked, 15))
    similarity = 1 - distances
    assert (model.neighbours(asked) > 0).sum(axis=1).tolist() == [7, 7]
    for row, near, weights in zip(
        model.neighbours(asked), who, similarity, strict=True
    ):
        assert np.allclose(np.sort(row[row > 0]), np.sort(weights), atol=1e-6)
        tied = np.isclose(
            row[near], 0
        )  # at the seventh place another user may be as near
        assert np.allclose(weights[tied], weights.min(), atol=1e-6)
    expected = model.neighbours(asked) @ seen
    assert np.allclose(model.score(asked), expected)


def test_user_knn_by_hand():
    """The history {0, 1} is {0, 1} itself, then {0, 1, 2}: 2 / sqrt(2 * 3)."""
    scores = UserKNN(2).fit(HISTORIES, 5).score([np.array([0, 1])])[0]
    assert np.allclose(scores, [1 + 2 / 6**0.5, 1 + 2 / 6**0.5, 2 / 6**0.5, 0, 0])


def test_item_knn_keeps_the_largest_shrunk_cosines_of_each_column():
    histories, k, shrink = many(), 4, 2.0
    seen = multi_hot(histories, 15).astype(float)
    weights = ItemKNN(k, shrink).fit(histories, 15).weights
    for j in range(15):
        column = [
            seen[:, i]
            @ seen[:, j]
            / (np.sqrt(seen[:, i].sum() * seen[:, j].sum()) + shrink)
            for i in range(15)
        ]
        column[j] = 0
        assert np.allclose(np.sort(weights[:, j])[-k:], np.sort(column)[-k:])
        kept = weights[:, j] > 0
        assert kept.sum() <= k and np.allclose(weights[kept, j], np.array(column)[kept])


def test_ease_solves_its_constrained_least_squares_item_by_item():
    """Without its own column, each item's weights are a ridge regression of that column
    on the others (Steck 2019).
    """
    seen, penalty = multi_hot(HISTORIES, 5).astype(float), 2.0
    weights = EASE(penalty).fit(HISTORIES, 5).weights
    for item in range(5):
        others = np.delete(np.arange(5), item)
        x, y = seen[:, others], seen[:, item]
        ridge = np.linalg.solve(x.T @ x + penalty * np.eye(4), x.T @ y)
        assert np.allclose(weights[others, item], ridge, atol=1e-5)
        assert weights[item, item] == 0


def test_hybrid_is_ease_with_attributes_as_more_users():
    weight = 3.0
    weights = HybridEASE(ITEMS, 2.0, weight).fit(HISTORIES, 5).weights
    rows = np.vstack(
        [multi_hot(HISTORIES, 5), np.sqrt(weight) * item_features(ITEMS).toarray().T]
    )
    for item in range(5):
        others = np.delete(np.arange(5), item)
        ridge = Ridge(alpha=2.0, fit_intercept=False).fit(
            rows[:, others], rows[:, item]
        )
        assert np.allclose(weights[others, item], ridge.coef_, atol=1e-5)


def test_hybrid_reaches_a_film_that_nobody_rated():
    without = [history[history != 1] for history in HISTORIES]
    asked = [np.array([0])]
    assert EASE(2.0).fit(without, 5).score(asked)[0, 1] == 0
    assert HybridEASE(ITEMS, 2.0, 1.0).fit(without, 5).score(asked)[0, 1] > 0


def test_ials_solves_weighted_ridge_regressions():
    """Rows that the history has weigh 1 + w0 in sum (target 1 under weight 1, target 0
    under w0), all others w0.
    """
    histories, model = many(), ImplicitALS(4, w0=0.2, regularisation=0.05, sweeps=2)
    factors = model.fit(histories, 15).factors.astype(float)
    history = np.array([2, 3, 8])
    rows = np.vstack([factors, factors[history]])
    targets, weights = (
        np.r_[np.zeros(15), np.ones(3)],
        np.r_[np.full(15, 0.2), np.ones(3)],
    )
    ridge = Ridge(alpha=0.05 * (3 + 0.2 * 15), fit_intercept=False).fit(
        rows, targets, sample_weight=weights
    )
    assert np.allclose(model.score([history])[0], factors @ ridge.coef_, atol=1e-5)


def ials_loss(model, histories):
    seen, items = multi_hot(histories, 15).astype(float), model.factors.astype(float)
    users = model.solve(histories, model.factors).astype(float)
    guess = users @ items.T
    size = lambda x, n, other: ((n + model.w0 * other) * (x**2).sum(axis=1)).sum()  # noqa: E731
    lengths = size(users, seen.sum(axis=1), 15) + size(
        items, seen.sum(axis=0), len(histories)
    )
    return (
        (seen * (1 - guess) ** 2).sum()
        + model.w0 * (guess**2).sum()
        + model.regularisation * lengths
    )


def test_every_sweep_of_ials_lowers_the_loss():
    losses = [
        ials_loss(ImplicitALS(4, sweeps=n).fit(many(), 15), many()) for n in range(1, 6)
    ]
    assert np.all(np.diff(losses) < 1e-4) and losses[-1] < losses[0]


def test_contract(model):
    assert isinstance(model, HistoryModel)
    histories = [EMPTY, np.array([3]), np.array([1, 4])]
    whole = model.score(histories)
    assert (
        whole.shape == (3, 5) and whole.dtype == np.float32 and np.isfinite(whole).all()
    )
    assert np.allclose(
        model.score(histories, np.array([4, 1])), whole[:, [4, 1]], atol=1e-6
    )
    assert np.allclose(
        model.score([np.array([4, 1])]), whole[2:], atol=1e-6
    )  # none of them knows order
    assert item_columns(whole, None) is whole
    if model.name != "popularity":
        assert not whole[0].any()


def test_an_absent_film_is_a_deleted_film(model):
    """Scoring what is left does not depend on what else is scored beside it."""
    left = model.score([np.array([0, 2, 4]), np.array([0, 4])])
    assert np.allclose(left[1:], model.score([np.array([0, 4])]), atol=1e-6)
