"""What means nothing is refused where it comes in, and the error names the argument.

Each of these calls once gave an answer, or ran for ever, or ended in a raw error.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from models_by_hand import table_game
from xrec_utils import contract, judge, metrics
from xrec_utils.checks import aligned, finite
from xrec_utils.explain import baselines, closed_forms, covers, influence
from xrec_utils.explain import counterfactual as removal
from xrec_utils.games.explanation import Explanation
from xrec_utils.judge import asking, deletion, faithfulness, planted
from xrec_utils.metrics import ranking
from xrec_utils.models.classic import EASE, ImplicitALS, ItemKNN, ItemToItem, UserKNN
from xrec_utils.models.stars import Baseline, ItemNeighbours, MatrixFactorisation
from xrec_utils.shop.shop import Shop

NAN = float("nan")
NO_COUNTS = (0, -1, 2.5, 2.0, NAN, True, "2", None)

SCORES = np.array([[9.0, 7.0, 5.0, 3.0]])
PLACES = metrics.places(SCORES, [[2]], seen=[[0]])
GAME = table_game(np.arange(8.0))
SAID = GAME.explanation([1, 2, 4], "by hand")
OTHER = Explanation(("a", "b", "c"), GAME.target, [1, 2, 4], 0, 7, "by hand")
USERS = [np.array([0, 1, 2]), np.array([0, 1, 2]), np.array([0, 3]), np.array([0, 1])]
EASY = EASE(regularisation=1.0).fit(USERS, 4)
FORGETFUL = influence.EaseInfluence(EASY, USERS)
FOUND = removal.greedy(EASY, USERS[3], item=2, k=1)
CASES = SimpleNamespace(users=[0], histories=[[0]], targets=[[1]])


def by_hand() -> ItemToItem:
    """A model of four films whose film 2 is first for the history 0, 1."""
    model = ItemToItem()
    model.name, model.n_items = "by hand", 4
    model.weights = np.array([[0, 0, 3, 1], [0, 0, 1, 2], [0] * 4, [0] * 4])
    return model


MODEL, HISTORY = by_hand(), np.array([0, 1])
GONE = [np.array([1])]


def everywhere(masks: np.ndarray) -> np.ndarray:
    return np.ones(len(masks))


def steady(history: np.ndarray) -> Explanation:
    return Explanation(tuple(map(str, history)), "score", history, 0, 1, "own")


# name of the argument -> what takes it as a whole number above 0
COUNTS: tuple[tuple[str, Callable[[object], object]], ...] = (
    ("k", lambda k: contract.top_k(SCORES, k)),
    ("k", lambda k: contract.recommend(MODEL, HISTORY, k)),
    ("k", lambda k: metrics.ndcg(PLACES, k)),
    ("k", lambda k: ranking.hit_rate(PLACES, k)),
    ("k", lambda k: ranking.recall(PLACES, k)),
    ("k", lambda k: ranking.precision(PLACES, k)),
    ("k", lambda k: ranking.average_precision(PLACES, k)),
    ("k", lambda k: metrics.ranking_table(PLACES, k)),
    ("k", lambda k: metrics.evaluate(EASY, CASES, k)),
    ("batch", lambda batch: metrics.evaluate(EASY, CASES, batch=batch)),
    ("k", lambda k: judge.agreement(SAID, SAID, k)),
    ("k", lambda k: judge.stability([SAID, SAID], k)),
    ("k", lambda k: judge.removal_agreement(lambda game: SAID, GAME, GAME, k)),
    ("k", lambda k: judge.pos_neg(everywhere, [0, 1], k)),
    ("bins", lambda bins: judge.pos_neg(everywhere, [0, 1], bins=bins)),
    ("k", lambda k: judge.films_until_gone(everywhere, [0, 1], k)),
    ("samples", lambda samples: judge.infidelity(GAME, SAID, samples)),
    ("draws", lambda draws: judge.advantage_over_random(GAME, [0, 1, 2], draws)),
    ("width", lambda width: judge.oracle_order(GAME, width=width)),
    ("people", lambda people: judge.plan(people)),
    ("people", lambda people: judge.power(0.5, people)),
    ("n", lambda n: judge.planted_cases(None, None, n)),
    ("k", lambda k: removal.Question(MODEL, HISTORY, 2, k)),
    ("k", lambda k: removal.greedy(MODEL, HISTORY, 2, k)),
    ("width", lambda width: removal.beam(MODEL, HISTORY, 2, 1, width)),
    ("nodes", lambda nodes: covers.minimal_linear(MODEL, HISTORY, 2, 1, nodes)),
    ("k", lambda k: covers.Cover(np.ones((2, 2)), k, None)),
    ("n", lambda n: Shop().customers(n)),
    (
        "k",
        lambda k: removal.holds_after_retraining(FOUND, FORGETFUL, 3, USERS[3], 2, k),
    ),
    ("n_neighbours", lambda n: UserKNN(n).fit(USERS, 4)),
    ("n_neighbours", lambda n: ItemKNN(n).fit(USERS, 4)),
    ("n_neighbours", lambda n: ItemNeighbours(n).fit(*RATINGS)),
)
# None says "all" there
OPTIONAL: tuple[tuple[str, Callable[[object], object]], ...] = (
    (
        "negatives",
        lambda negatives: metrics.places(SCORES, [[2]], negatives=negatives),
    ),
    ("edits", lambda edits: judge.sensitivity(steady, np.arange(1, 4), edits)),
)
RATINGS = np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([5.0, 3.0, 1.0])


@pytest.mark.parametrize("value", NO_COUNTS, ids=repr)
@pytest.mark.parametrize(("name", "call"), COUNTS + OPTIONAL)
def test_counts_are_whole_numbers_above_0(
    name: str, call: Callable[[object], object], value: object
) -> None:
    if value is None and (name, call) in OPTIONAL:
        return
    with pytest.raises(ValueError, match=rf"^{name}={value!r} must be a whole number"):
        call(value)


def test_numpy_counts_are_counts() -> None:
    assert contract.top_k(SCORES, np.uint8(1)).tolist() == [[0]]
    assert (
        metrics.ndcg(PLACES, np.int64(3)).tolist() == metrics.ndcg(PLACES, 3).tolist()
    )
    assert judge.oracle_order(GAME, width=np.int16(2)).shape == (3,)
    assert judge.power(0.5, np.uint8(20)) == judge.power(0.5, 20)


# ------------------------------------------------------------------- item codes

NO_CODES = {
    "negative": [-1],
    "unknown": [4],
    "float": [1.0],
    "mask": np.array([False, True, False, False]),
    "list of lists": [[1, 2]],
    "words": ["1"],
    "missing": [None],
}
CODES: tuple[tuple[str, Callable[[object], object]], ...] = (
    ("seen", lambda codes: contract.top_k(SCORES, 1, seen=[codes])),
    ("seen", lambda codes: contract.masked(SCORES, [codes])),
    ("seen", lambda codes: contract.recommend(MODEL, HISTORY, 1, seen=codes)),
    ("history", lambda codes: contract.multi_hot([codes], 4)),
    ("items", lambda codes: contract.item_columns(SCORES, codes)),
    ("user 0: targets", lambda codes: metrics.places(SCORES, [codes])),
    ("user 0: seen", lambda codes: metrics.places(SCORES, [[0]], seen=[codes])),
    ("user", lambda codes: FORGETFUL.retrained_scores(codes[0], GONE, [HISTORY])),
    ("user", lambda codes: influence.Retrained(FORGETFUL, codes[0], HISTORY)),
    ("history", lambda codes: FORGETFUL.retrained_scores(0, GONE, [codes])),
    *(
        (name, call)
        for model in (MODEL, EASY, ImplicitALS(2, sweeps=1).fit(USERS, 4))
        for name, call in (
            ("history", lambda codes, model=model: model.score([codes])),
            ("items", lambda codes, model=model: model.score([HISTORY], codes)),
        )
    ),
    ("history", lambda codes: UserKNN(2).fit(USERS, 4).score([codes])),
    ("items", lambda codes: UserKNN(2).fit(USERS, 4).score([HISTORY], codes)),
)


@pytest.mark.parametrize("kind", NO_CODES)
@pytest.mark.parametrize(("name", "call"), CODES)
def test_item_codes_are_codes(
    name: str, call: Callable[[object], object], kind: str
) -> None:
    with pytest.raises(ValueError, match=rf"^{name} must be a 1-D array of codes"):
        call(NO_CODES[kind])


def test_a_mask_is_told_how_it_becomes_codes() -> None:
    with pytest.raises(ValueError, match="flatnonzero"):
        contract.top_k(SCORES, 1, seen=[NO_CODES["mask"]])


def test_codes_of_any_whole_type_and_empty_lists_are_read() -> None:
    for kind in (np.uint8, np.int16, np.uint64, list):
        codes = [0] if kind is list else np.array([0], dtype=kind)
        assert contract.top_k(SCORES, 1, seen=[codes]).tolist() == [[1]]
    assert contract.top_k(SCORES, 1, seen=[[]]).tolist() == [[0]]
    assert contract.top_k(SCORES, 1, seen=[np.empty(0)]).tolist() == [[0]]


# ------------------------------------------------------------ everything else

ONE, TWO = pd.Series([1.0, 2.0, 4.0]), pd.Series([1.0, 2.0, 4.0], index=[2, 1, 0])
HIDDEN = np.array([1.0, NAN, 3.0])
TABLE = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [3.0, 1.0, 1.0]})
USER, ITEM, STARS = RATINGS

REFUSED: tuple[tuple[str, Callable[[], object], str], ...] = (
    # rows in another order, of another number, or missing
    ("paired, index", lambda: metrics.paired_interval(ONE, TWO), "indexes differ"),
    ("paired, length", lambda: metrics.paired_interval(ONE, [1.0, 2.0]), "one shape"),
    (
        "paired, users of seeds",
        lambda: metrics.paired_interval(
            pd.DataFrame(np.ones((2, 3)), columns=list("abc")),
            pd.DataFrame(np.ones((2, 3)), columns=list("cba")),
        ),
        "indexes differ",
    ),
    ("rmse, index", lambda: metrics.rmse(ONE, TWO), "indexes differ"),
    ("mae, index", lambda: metrics.mae(ONE, TWO), "truth and predicted"),
    ("accuracy, NaN", lambda: metrics.accuracy(HIDDEN, HIDDEN), "truth .* NaN"),
    ("rmse, nothing", lambda: metrics.rmse([], []), "truth must be a non-empty"),
    ("kendall, index", lambda: judge.kendall(ONE, TWO), "values and others"),
    ("kendall, length", lambda: judge.kendall([1.0, 1.0], [1.0]), "one shape"),
    ("kendall, NaN", lambda: judge.kendall(ONE, HIDDEN), "others"),
    ("error, index", lambda: judge.relative_error(ONE, TWO), "values and truth"),
    ("error, one for all", lambda: judge.relative_error(ONE, [1.0]), "one shape"),
    ("truth, NaN", lambda: judge.agreement_with_truth(SAID, HIDDEN), "NaN"),
    (
        "interval, NaN",
        lambda: metrics.mean_interval(pd.Series(HIDDEN, index=[7, 8, 9])),
        r"users .*1 NaN or infinite, at \[8\]: leave these out",
    ),
    ("interval, table", lambda: metrics.mean_interval(np.ones((2, 2, 2))), "1-D"),
    ("interval, level", lambda: metrics.mean_interval(ONE, level=-0.5), "level must"),
    ("interval, level", lambda: metrics.mean_interval(ONE, level=95), "level must"),
    ("interval, level", lambda: metrics.mean_interval(ONE, level=NAN), "level must"),
    ("f1", lambda: metrics.f1_of(1.5, 0.5), "precision and recall"),
    ("f1", lambda: metrics.f1_of(0.5, NAN), "precision and recall"),
    ("holm", lambda: judge.holm([0.2, 1.5]), r"p_values must lie in 0\.\.1"),
    ("holm", lambda: judge.holm([0.2, NAN]), r"p_values must lie in 0\.\.1"),
    ("tests of one", lambda: judge.paired_tests(TABLE[["a"]]), "two or more columns"),
    ("tests of twins", lambda: judge.paired_tests(TABLE[["a", "a"]]), "two or more"),
    ("tests, NaN", lambda: judge.paired_tests(TABLE.replace(3.0, NAN)), "NaN"),
    # a list is no score
    (
        "seen by hand",
        lambda: contract.top_k(np.array([[1.0, -np.inf, 0.5]]), 1),
        "seen=",
    ),
    (
        "a repeat",
        lambda: metrics.places(SCORES, [[0]], seen=[[0, 1]]),
        "seen before.*repeats",
    ),
    ("targets twice", lambda: metrics.places(SCORES, [[1, 1]]), "different items"),
    # an explanation of something else
    ("other players", lambda: judge.infidelity(GAME, OTHER), "its own game"),
    (
        "other target",
        lambda: judge.infidelity(
            GAME, Explanation(GAME.players, "score of Up", [1, 2, 4], 0, 7, "by hand")
        ),
        "its own game",
    ),
    (
        "seeds of two targets",
        lambda: judge.stability(
            [SAID, Explanation(GAME.players, "score of Up", [1, 2, 4], 0, 7, "hand")]
        ),
        "one target",
    ),
    ("order", lambda: deletion.insertion_curve(GAME, [0, 0, 1]), "order must name"),
    ("order", lambda: judge.pos_neg(everywhere, [1, 2]), "order must name"),
    ("order", lambda: judge.films_until_gone(everywhere, [-1, 0]), "order must name"),
    (
        "order",
        lambda: removal.greedy(MODEL, HISTORY, 2, 1, order=[1, 1]),
        "each position",
    ),
    # asking people
    ("kinds", lambda: judge.plan(6, kinds="ABC"), "kinds of different names"),
    ("kinds", lambda: judge.plan(6, kinds=("A", "A", "B")), "different names"),
    ("effect", lambda: judge.power(NAN, 20), "effect must lie"),
    ("effect", lambda: judge.people_needed(NAN), "effect must lie"),
    ("alpha", lambda: judge.power(0.5, 20, alpha=-0.05), "alpha must lie"),
    ("wanted", lambda: judge.people_needed(0.5, wanted=1.0), "wanted must lie"),
    ("alpha", lambda: judge.people_needed(0.5, alpha=0.0), "alpha must lie"),
    # the shop
    ("owned", lambda: Shop().earlier([-1]), "owned must be"),
    ("owned", lambda: Shop().true_reasons([0.0], 16), "owned must be"),
    ("item", lambda: Shop().true_reasons([0], -1), "item must be"),
    ("owned", lambda: judge.shop_game(Shop(), [-1], 16), "owned must be"),
    ("item", lambda: judge.shop_game(Shop(), [0], -1), "item must be"),
    # explainers
    ("linear", lambda: closed_forms.linear([NAN]), "weights"),
    ("mean", lambda: closed_forms.mean_pool([1.0], empty=NAN), "empty"),
    (
        "popular",
        lambda: baselines.most_popular(GAME, [-1, 0, 1], np.ones(4)),
        "history must be",
    ),
    ("gains", lambda: covers.Cover([[NAN]], 1, None), "gains"),
    (
        "forgotten, not in lists",
        lambda: FORGETFUL.retrained_scores(0, [1], [HISTORY]),
        "films must be",
    ),
    (
        "another history",
        lambda: removal.holds_after_retraining(FOUND, FORGETFUL, 3, USERS[3][:1], 2, 1),
        "found.films",
    ),
    (
        "item from the end",
        lambda: removal.holds_after_retraining(FOUND, FORGETFUL, 3, USERS[3], -1, 1),
        "item must be",
    ),
    # stars
    ("stars, index", lambda: Baseline().fit(pd.Series(USER), ITEM, TWO), "indexes"),
    ("stars, length", lambda: Baseline().fit(USER, ITEM, STARS[:2]), "one shape"),
    ("stars, NaN", lambda: MatrixFactorisation().fit(USER, ITEM, HIDDEN), "values"),
    ("stars, user", lambda: Baseline().fit(USER - 1, ITEM, STARS), "users must be"),
    ("stars, item", lambda: Baseline().fit(USER, ITEM + 0.5, STARS), "items must be"),
    (
        "stars, asked",
        lambda: Baseline().fit(*RATINGS).predict(np.array([-2]), np.array([0])),
        "codes must be",
    ),
)


@pytest.mark.parametrize(("call", "words"), [row[1:] for row in REFUSED])
def test_what_means_nothing_is_refused(call: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()


def test_small_whole_numbers_do_not_wrap_around() -> None:
    small, large = np.array([0, 1, 2], np.uint8), np.array([2, 1, 0], np.uint8)
    yes, no = np.array([True, True]), np.array([False, True])
    assert metrics.rmse(small, large) == pytest.approx((8 / 3) ** 0.5)
    assert metrics.paired_interval(small, large).mean == 0
    assert judge.relative_error(small, large) == pytest.approx(8**0.5 / 5**0.5)
    assert judge.relative_error(no, yes) == pytest.approx(0.5**0.5)
    tests = judge.paired_tests(pd.DataFrame({"a": small, "b": small + 1}))
    assert tests["mean"].tolist() == [-1]
    marks = asking.load_answers().astype({"expected": "uint8", "given": "uint8"})
    pd.testing.assert_frame_equal(judge.aims(marks), judge.aims(asking.load_answers()))


def test_answers_off_the_scale_are_refused(tmp_path) -> None:
    for column, value in (("t1", 8), ("given", 0), ("u2", NAN)):
        answers = asking.load_answers()
        answers[column] = answers[column].astype(float)
        answers.loc[0, column] = value
        answers.to_csv(tmp_path / "mine.csv", index=False)
        with pytest.raises(ValueError, match=r"mine\.csv: (statements|stars) must lie"):
            judge.load_answers(tmp_path / "mine.csv")


def test_arrays_are_taken_in_the_order_given_and_equal_indexes_pass() -> None:
    assert metrics.rmse(ONE, TWO.to_numpy()) == 0
    assert metrics.paired_interval(TWO, TWO).mean == 0
    assert [values.tolist() for values in aligned(a=ONE, b=[1, 2, 4])] == [
        [1, 2, 4]
    ] * 2
    assert finite("x", [True, 2]).tolist() == [1, 2]


def test_a_target_may_say_more_than_the_game() -> None:
    said = Explanation(
        GAME.players, f"attention behind the {GAME.target}", [1, 2, 4], 0, 7, "by hand"
    )
    assert faithfulness.infidelity(GAME, said).relative == pytest.approx(0)


def test_two_questions_about_one_history_may_be_compared() -> None:
    other = Explanation(SAID.players, "score of Up", SAID.values, 0, 7, "by hand")
    assert judge.agreement(SAID, other) == (1, 1)
    assert planted.agreement_with_truth(other, SAID.values).error == 0
