"""Metrics against scikit-learn, against every order of the ties, and against cases
worked by hand.
"""

from itertools import permutations
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from xrec_utils import contract
from xrec_utils.metrics import evaluation, ranking, ratings
from xrec_utils.metrics import intervals as metrics_intervals


def by_all_orders(scores, targets, k):
    """Metrics of one user without `seen`: plain definitions, averaged over every order
    of the tied items.
    """
    rows = []
    for order in permutations(range(len(scores))):
        ranked = sorted(order, key=lambda item: -scores[item])
        rank = np.sort([ranked.index(target) + 1 for target in targets])
        kept = rank[rank <= k]
        best = min(len(rank), k)
        others = len(scores) - len(rank)
        beaten = sum((others - (r - 1 - i)) for i, r in enumerate(rank))
        rows.append(
            {
                "hr": float(len(kept) > 0),
                "ndcg": sum(1 / np.log2(kept + 1))
                / sum(1 / np.log2(np.arange(1, best + 1) + 1)),
                "mrr": 1 / rank[0],
                "recall": len(kept) / len(rank),
                "precision": len(kept) / k,
                "map": sum((i + 1) / r for i, r in enumerate(kept)) / best,
                "auc": beaten / (len(rank) * others) if others else np.nan,
            }
        )
    return pd.DataFrame(rows).mean()


@st.composite
def tied_users(draw):
    scores = draw(st.lists(st.integers(0, 2), min_size=2, max_size=6))
    targets = draw(st.sets(st.integers(0, len(scores) - 1), min_size=1))
    return scores, sorted(targets), draw(st.integers(1, 7))


@given(tied_users())
def test_ties_count_as_the_mean_over_all_their_orders(user):
    scores, targets, k = user
    found = evaluation.ranking_table(
        ranking.places(np.array([scores]), [targets]), k
    ).loc[0]
    expected = by_all_orders(scores, targets, k)
    pd.testing.assert_series_equal(found, expected[found.index], check_names=False)


def random_ranking(seed=0, n=40, n_items=30, ties=False, most=4):
    rng = np.random.default_rng(seed)
    scores = (
        rng.integers(0, 5, (n, n_items)).astype(float)
        if ties
        else rng.normal(size=(n, n_items))
    )
    targets = [
        rng.choice(n_items, rng.integers(1, most + 1), replace=False) for _ in range(n)
    ]
    truth = np.zeros((n, n_items), dtype=int)
    for row, items in zip(truth, targets, strict=True):
        row[items] = 1
    return scores, targets, truth


@pytest.mark.parametrize("ties", [False, True])
def test_ndcg_and_auc_equal_scikit_learn(ties):
    scores, targets, truth = random_ranking(ties=ties)
    found = evaluation.ranking_table(ranking.places(scores, targets), k=7)
    assert found.ndcg.mean() == pytest.approx(sk.ndcg_score(truth, scores, k=7))
    expected = [sk.roc_auc_score(t, s) for t, s in zip(truth, scores, strict=True)]
    np.testing.assert_allclose(found.auc, expected)


def test_map_mrr_and_hr_equal_scikit_learn():
    scores, targets, truth = random_ranking(1)
    found = evaluation.ranking_table(ranking.places(scores, targets), k=30)
    assert found["map"].mean() == pytest.approx(
        sk.label_ranking_average_precision_score(truth, scores)
    )
    scores, targets, truth = random_ranking(2, most=1)
    found = evaluation.ranking_table(ranking.places(scores, targets), k=5)
    assert found.mrr.mean() == pytest.approx(
        sk.label_ranking_average_precision_score(truth, scores)
    )
    label = np.concatenate(targets)
    assert found.hr.mean() == pytest.approx(
        sk.top_k_accuracy_score(label, scores, k=5, labels=np.arange(30))
    )


def test_ten_films_by_hand():
    """Scores fall from film 0 to film 9; film 1 was seen, so targets 2 and 5 stand at
    ranks 2 and 5 of nine.
    """
    place = ranking.places(np.arange(10, 0, -1)[None], targets=[[5, 2]], seen=[[1]])
    assert (place.above + 1).tolist() == [2, 5]
    found = evaluation.ranking_table(place, k=4).loc[0]
    assert found.hr == 1
    assert found.recall == pytest.approx(1 / 2)
    assert found.precision == pytest.approx(1 / 4)
    assert found.mrr == pytest.approx(1 / 2)
    assert found["map"] == pytest.approx((1 / 2) / 2)
    assert found.ndcg == pytest.approx((1 / np.log2(3)) / (1 + 1 / np.log2(3)))
    assert found.auc == pytest.approx((6 + 4) / 14)


def test_constant_scores_are_chance():
    found = evaluation.ranking_table(
        ranking.places(np.zeros((3, 100)), [[0], [50], [99]]), k=10
    )
    assert np.allclose(found.hr, 0.1) and np.allclose(found.auc, 0.5)
    assert np.allclose(found.ndcg, sum(1 / np.log2(np.arange(2, 12))) / 100)
    assert np.allclose(found.mrr, sum(1 / np.arange(1, 101)) / 100)


def test_auc_without_any_other_candidate_is_missing():
    assert np.isnan(ranking.auc(ranking.places(np.zeros((1, 2)), [[0]], [[1]]))).all()


@given(st.integers(0, 1000))
def test_metrics_do_not_change_under_a_rising_transformation_or_a_new_order_of_the_items(
    seed,
):
    scores, targets, _ = random_ranking(seed, n=5, ties=True)
    columns = np.random.default_rng(seed).permutation(30)
    back = np.argsort(columns)
    one = evaluation.ranking_table(ranking.places(scores, targets))
    two = evaluation.ranking_table(
        ranking.places(np.exp(scores[:, columns]), [back[t] for t in targets])
    )
    np.testing.assert_allclose(one, two)
    assert ((one >= 0) & (one <= 1 + 1e-9)).all().all()


# ---------------------------------------------------------------- evaluate


class Fixed:
    """A model that reads the wanted row from the first film of the history."""

    name = "fixed"

    def __init__(self, scores):
        self.scores, self.n_items = scores, scores.shape[1]

    def score(self, histories, items=None):
        return self.scores[[history[0] for history in histories]]


def some_cases(n=20, n_items=50):
    rng = np.random.default_rng(3)
    histories = [
        np.concatenate([[u], rng.choice(np.arange(n, n_items - 5), 4, replace=False)])
        for u in range(n)
    ]
    targets = [rng.choice(np.arange(n_items - 5, n_items), 1) for _ in range(n)]
    return SimpleNamespace(
        users=np.arange(n) + 100, histories=histories, targets=targets
    )


def test_evaluate_ranks_among_all_items_outside_the_history():
    cases, scores = (
        some_cases(),
        np.random.default_rng(0).normal(size=(20, 50)).astype(np.float32),
    )
    found = evaluation.evaluate(Fixed(scores), cases, k=5, batch=7)
    assert found.index.tolist() == cases.users.tolist() and found.index.name == "user"
    assert list(found) == ["hr", "ndcg", "mrr", "recall", "precision", "map", "auc"]
    for row, user in enumerate(cases.users):
        candidates = np.setdiff1d(np.arange(50), cases.histories[row])
        rank = 1 + np.sum(scores[row, candidates] > scores[row, cases.targets[row]])
        assert found.mrr[user] == pytest.approx(1 / rank)
        assert found.hr[user] == (rank <= 5)
        assert found.auc[user] == pytest.approx(1 - (rank - 1) / (len(candidates) - 1))


def test_sampled_negatives_flatter_and_depend_only_on_seed_and_user():
    cases, scores = (
        some_cases(),
        np.random.default_rng(0).normal(size=(20, 50)).astype(np.float32),
    )
    full, few = (
        evaluation.evaluate(Fixed(scores), cases, k=5, negatives=n) for n in (None, 9)
    )
    assert few.hr.mean() > full.hr.mean()
    assert (few.mrr >= full.mrr).all()
    pd.testing.assert_frame_equal(
        few, evaluation.evaluate(Fixed(scores), cases, k=5, negatives=9, batch=3)
    )
    assert not few.equals(
        evaluation.evaluate(Fixed(scores), cases, k=5, negatives=9, seed=1)
    )
    everything = evaluation.evaluate(Fixed(scores), cases, k=5, negatives=44)
    pd.testing.assert_frame_equal(everything, full)


def test_every_user_meets_other_negatives():
    scores, targets = np.tile(np.arange(200), (30, 1)), [[100]] * 30
    ranks = ranking.places(scores, targets, negatives=20, users=range(30)).above
    assert len(set(ranks)) > 3
    again = ranking.places(scores, targets, negatives=20, users=range(29, -1, -1)).above
    assert ranks.tolist() == again[::-1].tolist()


def test_evaluate_says_what_is_wrong():
    cases, model = some_cases(), Fixed(np.zeros((20, 50)))
    with pytest.raises(ValueError, match="negatives=45: user 100 has 44"):
        evaluation.evaluate(model, cases, negatives=45)
    with pytest.raises(ValueError, match="k=0"):
        evaluation.evaluate(model, cases, k=0)
    with pytest.raises(ValueError, match="cases is empty"):
        evaluation.evaluate(model, SimpleNamespace(users=[], histories=[], targets=[]))
    model.n_items = 51
    with pytest.raises(
        ValueError, match=r"Fixed.score gave \(20, 50\), expected \(20, 51\)"
    ):
        evaluation.evaluate(model, cases)


@pytest.mark.parametrize(
    ("scores", "targets", "seen", "message"),
    [
        (
            [[1.0, np.nan]],
            [[0]],
            None,
            r"NaN or infinite at \[row, item\] \[\[0, 1\]\]",
        ),
        ([[1.0, np.inf]], [[0]], None, "finite number"),
        ([1.0, 2.0], [[0]], None, r"shape \(users, items\)"),
        ([[1.0, 2.0]], [[0], [1]], None, "scores has 1 rows"),
        ([[1.0, 2.0]], [[]], None, "user 0: targets"),
        ([[1.0, 2.0]], [[1, 1]], None, "different items"),
        ([[1.0, 2.0]], [[2]], None, r"codes in 0\.\.1"),
        ([[1.0, 2.0]], [[0]], [[-1]], r"codes in 0\.\.1"),
        ([[1.0, 2.0]], [[0]], [[0]], r"target \[0\] is in the user's own history"),
    ],
)
def test_places_says_what_is_wrong(scores, targets, seen, message):
    with pytest.raises(ValueError, match=message):
        ranking.places(np.array(scores), targets, seen)


# ---------------------------------------------------------------- top k


def test_top_k_leaves_out_what_was_seen():
    scores = np.array([[4, 3, 2, 1], [1, 2, 3, 4]])
    assert contract.top_k(scores, 2).tolist() == [[0, 1], [3, 2]]
    assert contract.top_k(scores, 2, seen=[[0], []]).tolist() == [[1, 2], [3, 2]]
    assert contract.top_k(scores, 4).tolist() == [[0, 1, 2, 3], [3, 2, 1, 0]]
    assert scores.tolist() == [[4, 3, 2, 1], [1, 2, 3, 4]]


@given(st.integers(0, 10_000), st.integers(1, 12))
def test_top_k_equals_a_full_sort(seed, k):
    scores = np.random.default_rng(seed).integers(0, 9, (4, 15))
    found = contract.top_k(scores, k, seen=[[seed % 15]] * 4, seed=seed)
    allowed = np.delete(scores, seed % 15, axis=1)
    assert np.array_equal(
        np.take_along_axis(scores, found, 1), -np.sort(-allowed, axis=1)[:, :k]
    )
    assert all(len(set(row)) == k and seed % 15 not in row for row in found)


def test_top_k_breaks_ties_at_random_but_the_same_way_for_all_rows():
    lists = np.array(
        [contract.top_k(np.zeros((2, 10)), 3, seed=seed) for seed in range(300)]
    )
    assert (lists[:, 0] == lists[:, 1]).all()
    counts = np.bincount(lists[:, 0].ravel(), minlength=10)
    assert counts.min() > 60 and counts.max() < 125  # 90 expected, standard deviation 8


@pytest.mark.parametrize("k", [4])
def test_top_k_refuses_more_than_there_is(k):
    with pytest.raises(
        ValueError,
        match=rf"k={k} must lie between 1 and the fewest unseen items of a row, 3",
    ):
        contract.top_k(np.zeros((2, 4)), k, seen=[[], [2]])


# ---------------------------------------------------------------- intervals


def test_interval_agrees_with_the_normal_one():
    a = np.random.default_rng(0).normal(1, 2, 900)
    found = metrics_intervals.mean_interval(a)
    half = 1.96 * a.std(ddof=1) / 30
    assert found.mean == pytest.approx(a.mean())
    assert (found.low, found.high) == pytest.approx(
        (a.mean() - half, a.mean() + half), abs=0.02
    )
    assert str(found) == f"{found.mean:.4f} [{found.low:.4f}, {found.high:.4f}]"
    assert found == metrics_intervals.mean_interval(a)


def test_interval_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(1)
    intervals = [
        metrics_intervals.mean_interval(rng.exponential(size=100), seed, resamples=400)
        for seed in range(300)
    ]
    assert 0.89 <= np.mean([each.low <= 1 <= each.high for each in intervals]) <= 0.98


def test_pairing_removes_what_users_have_in_common():
    rng = np.random.default_rng(0)
    ease = rng.normal(0, 10, 200)
    better = ease + 0.5 + rng.normal(0, 0.1, (3, 200))
    found = metrics_intervals.paired_interval(better, ease)
    assert 0.45 < found.low < found.mean < found.high < 0.55
    assert found == metrics_intervals.paired_interval(better.mean(axis=0), ease)


def test_intervals_say_what_is_wrong():
    with pytest.raises(ValueError, match="two or more users"):
        metrics_intervals.mean_interval([1.0])
    with pytest.raises(ValueError, match="finite"):
        metrics_intervals.mean_interval([1.0, np.nan])
    with pytest.raises(ValueError, match="a and b must have one shape"):
        metrics_intervals.paired_interval([1, 2], [1, 2, 3])
    one = pd.Series([1.0, 2.0], index=[7, 8])
    assert metrics_intervals.paired_interval(one, one).mean == 0
    with pytest.raises(ValueError, match="same order"):
        metrics_intervals.paired_interval(one, one[::-1])


# ---------------------------------------------------------------- ratings, classes


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=20)
)
def test_classification_equals_scikit_learn(pairs):
    truth, predicted = np.array(pairs).T
    expected = [
        score(truth, predicted, zero_division=0)
        for score in (sk.precision_score, sk.recall_score)
    ]
    assert ratings.precision_recall(truth, predicted) == pytest.approx(expected)
    assert ratings.f1_of(*expected) == pytest.approx(
        sk.f1_score(truth, predicted, zero_division=0)
    )
    assert ratings.accuracy(truth, predicted) == pytest.approx(
        sk.accuracy_score(truth, predicted)
    )


def test_rating_errors_equal_scikit_learn():
    truth, predicted = np.random.default_rng(0).uniform(0.5, 5, (2, 50))
    assert ratings.rmse(truth, predicted) == pytest.approx(
        sk.root_mean_squared_error(truth, predicted)
    )
    assert ratings.mae(truth, predicted) == pytest.approx(
        sk.mean_absolute_error(truth, predicted)
    )
    assert ratings.rmse([4, 2], [3, 2]) == pytest.approx(np.sqrt(0.5))
    assert (
        ratings.mae(np.array([0], dtype=np.uint8), np.array([1], dtype=np.uint8)) == 1
    )


def test_f1_of_precision_and_recall():
    assert ratings.f1_of(0.35, 0.40) == pytest.approx(0.3733, abs=5e-5)
    assert ratings.f1_of(0, 0) == 0


def test_labels_and_ratings_are_checked():
    with pytest.raises(ValueError, match="0 or 1"):
        ratings.precision_recall([0, 1], [0.2, 0.9])
    with pytest.raises(ValueError, match="truth and predicted must have one shape"):
        ratings.rmse([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="non-empty"):
        ratings.mae([], [])
    with pytest.raises(ValueError, match="finite"):
        ratings.accuracy([1, np.nan], [1, 0])
