"""Games and explanations: what is asked of the model, and what is refused."""

from inspect import getdoc
from textwrap import dedent
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_by_hand import HandModel, Recent, Tanh, table_game
from xrec_utils.contract import HistoryModel, item_columns, multi_hot
from xrec_utils.explain.baselines import leave_one_out
from xrec_utils.explain.choose import explain
from xrec_utils.explain.leverage import leverage_regression
from xrec_utils.explain.shapley import brute_force, permutation_sampling
from xrec_utils.games.explanation import Explanation
from xrec_utils.games.features import feature_game, imputed_game
from xrec_utils.games.game import Game, contrast_game, history_game, rank_game
from xrec_utils.keras_start import keras
from xrec_utils.models.classic import EASE

HISTORY = np.array([7, 3, 9, 1])
TITLES = [f"Film {code}" for code in range(40)]


@given(
    st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=0, max_size=12),
    st.integers(1, 5),
)
def test_scores_come_back_in_the_order_of_the_masks_whatever_the_batch(masks, batch):
    scores = np.arange(8) ** 2
    game = Game(("a", "b", "c"), "square", lambda m: scores[m @ [1, 2, 4]], batch)
    masks = np.array(masks, dtype=bool).reshape(-1, 3)
    assert game(masks).tolist() == scores[masks @ [1, 2, 4]].tolist()


def test_batches_are_bounded_and_a_group_is_scored_once():
    sizes = []

    def value(masks):
        sizes.append(len(masks))
        return masks.sum(axis=1)

    masks = np.random.default_rng(0).random((500, 10)) < 0.5
    game = Game(tuple("abcdefghij"), "size", value, batch=64)
    assert (
        game(np.vstack([masks, masks])).tolist()
        == np.tile(masks.sum(axis=1), 2).tolist()
    )
    assert max(sizes) <= 64 and sum(sizes) == len(np.unique(masks, axis=0))


@pytest.mark.parametrize("players", [3, 9, 65])
def test_masks_may_lie_in_memory_as_they_like(players):
    masks = np.random.default_rng(0).random((20, players)) < 0.5
    game = Game(tuple(map(str, range(players))), "size", lambda m: m.sum(axis=1))
    for laid_out in (np.asfortranarray(masks), np.repeat(masks, 2, axis=0)[::2]):
        assert game(laid_out).tolist() == masks.sum(axis=1).tolist()


def test_full_empty_and_name():
    game = table_game([1.0, 2.0, 4.0, 8.0])
    assert (game.n_players, game.empty(), game.full()) == (2, 1.0, 8.0)
    assert repr(game) == "Game(2 players, target='looked-up score')"


@pytest.mark.parametrize(
    "masks", [np.ones(3, bool), np.ones((2, 4), bool), np.ones((2, 3)), [[0, 1, 0]]]
)
def test_masks_of_another_kind_are_refused(masks):
    with pytest.raises(ValueError, match=r"masks must be bool \(n, 3\), got"):
        Game(tuple("abc"), "t", lambda m: m.sum(axis=1))(masks)


@pytest.mark.parametrize("value", [lambda m: m, lambda m: m.sum(1)[:1]])
def test_answers_that_are_not_one_number_each_are_refused(value):
    with pytest.raises(
        ValueError, match="game of 'the score' must give 2 finite scores, got shape"
    ):
        Game(tuple("abc"), "the score", value)(np.eye(3, dtype=bool)[:2])


def test_the_group_without_a_finite_score_is_named():
    game = Game(tuple("abc"), "the score", lambda m: 1 / m[:, 1])
    with (
        np.errstate(divide="ignore"),
        pytest.raises(ValueError, match=r"of 'the score' gave 1 .*group \['a', 'c'\]"),
    ):
        game(np.array([[True, False, True], [True, True, True]]))
    with (
        np.errstate(divide="ignore"),
        pytest.raises(ValueError, match="infinite, the first for the group of nobody"),
    ):
        game.empty()


def test_games_need_players_and_a_batch():
    with pytest.raises(ValueError, match="at least one player"):
        Game((), "t", len)
    for batch in (0, 2.5, True, np.nan):
        with pytest.raises(ValueError, match=f"batch={batch}"):
            Game(("a",), "t", len, batch=batch)


def test_a_text_is_no_list_of_players():
    for build in (
        lambda: Game("abc", "t", len),
        lambda: Explanation("abc", "t", [1, 2, 3], 0, 6, "hand"),
        lambda: feature_game(len, np.ones(3), np.ones((2, 3)), "abc"),
    ):
        with pytest.raises(ValueError, match="players='abc' is one text"):
            build()


def test_equal_names_are_numbered_alike_in_games_and_explanations():
    names = ("Heat", "Up", "Heat", "Heat", 7)
    told_apart = ("Heat", "Up", "Heat #2", "Heat #3", "7")
    game = Game(names, "t", lambda m: m.sum(axis=1))
    assert game.players == told_apart
    assert Explanation(names, "t", np.ones(5), 0, 5, "hand").players == told_apart
    assert game.explanation(np.ones(5), "hand").players == told_apart


class Dropout:
    """A network whose dropout was left on: films go at random."""

    name, n_items = "dropout", 40

    def __init__(self, at_random_within_a_call):
        self.rng = np.random.default_rng(0)
        self.within = at_random_within_a_call

    def score(self, histories, items=None):
        kept = self.rng.random(len(histories) if self.within else 1)
        seen = np.array([len(history) for history in histories])
        return (seen * kept)[:, None] * np.ones((1, len(items)))


@pytest.mark.parametrize("within", [True, False])
@pytest.mark.parametrize(
    "ask",
    [
        lambda game: [game.full(), game.full()],
        lambda game: [game.full(), game.empty()],
        brute_force,
        leave_one_out,
        permutation_sampling,
        leverage_regression,
    ],
)
def test_a_random_game_is_refused_with_the_remedy(ask, within):
    game = history_game(Dropout(within), HISTORY, 20)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"is random. .* training=False"):
            ask(game)


def test_a_random_model_is_refused_where_games_are_shared():
    with pytest.raises(ValueError, match="is random"):
        explain(Dropout(True), HISTORY, 20)


def test_float32_is_not_chance():
    """The same film scored in batches of other sizes: another rounding."""
    game = Game(tuple("abc"), "t", lambda m: 5 + m.sum(axis=1) + 1e-5 * len(m))
    game.full()
    assert game(np.eye(3, dtype=bool)) == pytest.approx(6, abs=1e-3)
    assert game.full() == pytest.approx(8, abs=1e-3)


def test_masks_of_one_call_are_asked_for_once_more_only():
    asked = []

    def value(masks):
        asked.append(len(masks))
        return masks.sum(axis=1)

    game = Game(tuple("abc"), "t", value)
    for _ in range(3):
        game.full()
        game.empty()
    assert asked == [1, 2, 1, 1, 1, 1]


def test_base_and_score_are_asked_for_together_and_not_by_who_hands_them_on():
    asked = []

    def value(masks):
        asked.append(masks.sum(axis=1).tolist())
        return masks.sum(axis=1)

    said = Game(tuple("abc"), "t", value).explanation(np.ones(3), "hand")
    assert (said.base, said.score, asked) == (0, 3, [[0, 3]])
    said = Game(tuple("abc"), "t", value).explanation(np.ones(3), "hand", ends=(1, 4))
    assert (said.base, said.score, asked) == (1, 4, [[0, 3]])


@pytest.mark.parametrize("explainer", [brute_force, permutation_sampling])
def test_values_add_up_to_the_scores_they_were_made_of(explainer):
    """Scores that are rounded by the groups they are asked with."""
    game = Game(tuple("abc"), "t", lambda m: m.sum(axis=1) + 1e-4 * len(m))
    assert explainer(game).gap == pytest.approx(0, abs=1e-12)


# ---------------------------------------------------------------- history


def test_absent_films_are_deleted_and_the_rest_closes_up_in_order():
    model = Recent()
    game = history_game(model, HISTORY, 20, titles=TITLES)
    masks = np.array([[1, 0, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1]], dtype=bool)
    expected = model.score([np.array([7, 9]), np.array([], dtype=int), HISTORY])[:, 20]
    np.testing.assert_allclose(game(masks), expected)
    assert game.players == ("Film 7", "Film 3", "Film 9", "Film 1")
    assert game.target == "score of Film 20"
    assert history_game(model, HISTORY, 20).players[0] == "item 7"


def test_the_model_is_asked_for_one_column_and_small_batches():
    asked = []

    class Spy(Tanh):
        def score(self, histories, items=None):
            asked.append((len(histories), items.tolist()))
            return super().score(histories, items)

    game = history_game(Spy(), HISTORY, 20, batch=5)
    game(np.random.default_rng(0).random((40, 4)) < 0.5)
    assert all(n <= 5 and items == [20] for n, items in asked)


@pytest.mark.parametrize(
    ("history", "item", "message"),
    [
        ([7, 3], 3, "item 3 is in the history"),
        ([7, 40], 3, "history must be a 1-D array of codes in 0..39, got .*40"),
        ([7, -1], 3, "history must be a 1-D array of codes in 0..39, got .*-1"),
        ([True, False], 3, "history must be a 1-D array of codes .* mask into codes"),
        ([7.0, 3.0], 1, "history must be a 1-D array of codes"),
        ([[7, 3]], 1, "history must be a 1-D array of codes"),
        ([7, 3], -1, r"\[item\] must be a 1-D array of codes in 0..39, got .*-1"),
        ([7, 3], 1.0, r"\[item\] must be a 1-D array of codes in 0..39, got .*1\."),
        ([7, 3], [1, 2], r"\[item\] must be a 1-D array of codes in 0..39"),
        ([7, 3], True, r"\[item\] must be a 1-D array of codes in 0..39"),
        ([], 1, "history is empty, .* a game needs at least one player"),
        (np.array([], dtype=int), 1, "at least one player"),
    ],
)
def test_histories_are_checked(history, item, message):
    for build in (history_game, rank_game, lambda *case: contrast_game(*case, 30)):
        with pytest.raises(ValueError, match=message):
            build(HandModel(), history, item)
    with pytest.raises(ValueError, match=message):
        contrast_game(HandModel(), history, 30, item)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            lambda n, items: np.zeros((n, items + 1)),
            r"Odd.score must give one row .* \(1, \d+\), got \(1, \d+\)",
        ),
        (
            lambda n, items: np.zeros(n),
            r"Odd.score must give one row per history and .* got \(1,\)",
        ),
        (
            lambda n, items: np.full((n, items), np.nan),
            r"Odd.score gave NaN or infinite scores for the history \[7, 3, 9, 1\]: "
            "check its weights",
        ),
    ],
)
def test_models_that_answer_wrongly_are_named(answer, message):
    class Odd(HandModel):
        def score(self, histories, items=None):
            return answer(len(histories), len(items))

    for game in (
        history_game(Odd(), HISTORY, 2),
        rank_game(Odd(), HISTORY, 2),
        contrast_game(Odd(), HISTORY, 2, 4),
    ):
        with pytest.raises(ValueError, match=message):
            game.full()


def test_a_score_missing_for_the_empty_history_alone_is_said():
    class Mean(HandModel):
        def encode(self, vectors):
            return vectors.sum(axis=0) / (len(vectors) or np.nan)

    game = history_game(Mean(), HISTORY, 2)
    assert np.isfinite(game.full())
    with pytest.raises(
        ValueError, match=r"for the empty history: .*contract wants a finite"
    ):
        game.empty()


def test_a_plain_keras_model_is_shown_the_lines_it_lacks():
    net = keras.Sequential([keras.layers.Input((40,)), keras.layers.Dense(40)])
    for ask in (
        lambda: history_game(net, HISTORY, 20),
        lambda: rank_game(net, HISTORY, 20),
        lambda: explain(net, HISTORY, 20),
    ):
        with pytest.raises(
            ValueError,
            match=r"(?s)Sequential has no n_items: .*HistoryModel.*class",
        ):
            ask()
    with pytest.raises(ValueError, match=r"SimpleNamespace has no score: "):
        history_game(SimpleNamespace(name="own", n_items=40), HISTORY, 20).full()
    # the lines shown are the lines that work
    lines = getdoc(HistoryModel).partition("class Own:")[2]
    space = {"multi_hot": multi_hot, "item_columns": item_columns}
    exec(dedent("    class Own:" + lines), space)
    own = space["Own"](net, 40)
    game = history_game(own, HISTORY, 20)
    assert brute_force(game).gap == pytest.approx(0, abs=1e-5)


# ---------------------------------------------------------------- items that repeat


@pytest.mark.parametrize("build", [history_game, rank_game])
def test_copies_are_players_absent_one_by_one(build):
    model, history = Recent(), np.array([7, 3, 7])
    game = build(model, history, 20, titles=TITLES)
    assert game.players == ("Film 7", "Film 3", "Film 7 #2")
    masks = np.array([[True, False, True], [False, True, True], [True, True, False]])
    scores = model.score([[7, 7], [3, 7], [7, 3]])[:, 20]
    if build is history_game:
        np.testing.assert_allclose(game(masks), scores)
    assert len(set(game(masks).tolist())) > 1


def test_a_model_that_collapses_copies_lets_them_share():
    ease = EASE(1.0).fit([[0, 1], [0, 1, 2], [1, 2], [0, 2, 3], [0, 1, 3]], 4)
    once = brute_force(history_game(ease, np.array([0, 2]), 1))
    twice = brute_force(history_game(ease, np.array([0, 0, 2]), 1))
    assert twice.values[0] == pytest.approx(once.values[0] / 2)
    assert twice.values[1] == pytest.approx(once.values[0] / 2)
    assert twice.values[2] == pytest.approx(once.values[1])
    assert (twice.base, twice.score) == (once.base, once.score)


# ---------------------------------------------------------------- contrast and rank


def test_contrast_is_the_difference_of_two_scores_and_so_are_its_shapley_values():
    model = Recent()
    game = contrast_game(model, HISTORY, 20, 30, titles=TITLES)
    one, two = (history_game(model, HISTORY, item, titles=TITLES) for item in (20, 30))
    masks = np.random.default_rng(0).random((30, 4)) < 0.5
    np.testing.assert_allclose(game(masks), one(masks) - two(masks))
    found = brute_force(game)
    np.testing.assert_allclose(
        found.values, brute_force(one).values - brute_force(two).values, atol=1e-12
    )
    assert found.gap == pytest.approx(0, abs=1e-12)
    assert (
        game.players == one.players and game.target == "score of Film 20 above Film 30"
    )


def test_rank_is_counted_among_the_films_outside_the_full_history():
    model, item = Tanh(), 20
    game = rank_game(model, HISTORY, item, titles=TITLES)
    found, masks = (
        brute_force(game),
        np.array([[1, 0, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1]], dtype=bool),
    )
    candidates = [code for code in range(40) if code not in HISTORY]
    for mask, value in zip(masks, game(masks), strict=True):
        scores = model.score([HISTORY[mask]])[0]
        best_first = sorted(candidates, key=lambda code: -scores[code])
        assert value == pytest.approx(-np.log2(2 + best_first.index(item)))
    assert found.gap == pytest.approx(0, abs=1e-12) and np.abs(found.values).max() > 0.1
    assert (found.players, found.target) == (
        history_game(model, HISTORY, item, titles=TITLES).players,
        "rank of Film 20",
    )


def test_ties_share_the_middle_of_their_places():
    """An empty history scores every film alike: 36 candidates, the middle of places 1
    to 36.
    """

    class Flat(HandModel):
        def encode(self, vectors):
            return vectors.sum(axis=0)

    game = rank_game(Flat(), HISTORY, 20)
    assert (
        game.empty() == pytest.approx(-np.log2(1 + 18.5))
        and game.target == "rank of item 20"
    )


# ---------------------------------------------------------------- features


def test_absent_columns_are_averaged_over_the_background():
    def predict(x):
        return x[:, 0] * x[:, 1] + x[:, 2]

    row, background = (
        np.array([2.0, 3.0, 5.0]),
        np.random.default_rng(0).normal(size=(7, 3)),
    )
    game = feature_game(predict, row, background, ["a", "b", "c"], rows=20)
    assert (
        game.batch == 2 and game.target == "P(like)" and game.players == ("a", "b", "c")
    )
    masks = np.array([[1, 0, 0], [0, 1, 1], [1, 1, 1], [0, 0, 0]], dtype=bool)
    expected = [
        2 * background[:, 1].mean() + background[:, 2].mean(),
        3 * background[:, 0].mean() + 5,
        11,
        predict(background).mean(),
    ]
    np.testing.assert_allclose(game(masks), expected)


def test_a_large_background_is_still_one_mask_at_a_time():
    game = feature_game(
        lambda x: x[:, 0], np.ones(1), np.zeros((50, 1)), ["a"], rows=20
    )
    assert game.batch == 1 and game.full() == 1 and game.empty() == 0


@pytest.mark.parametrize(
    ("row", "background", "names", "message"),
    [
        (np.ones((1, 2)), np.ones((3, 2)), "ab", "do not fit"),
        (np.ones(2), np.ones(2), "ab", "do not fit"),
        (np.ones(2), np.ones((0, 2)), "ab", "do not fit"),
        (np.ones(2), np.ones((3, 3)), "ab", r"do not fit: \(2,\) and \(3, 3\)"),
        (np.ones(2), np.ones((3, 2)), "abc", "names has 3 entries for 2 columns"),
    ],
)
def test_features_are_checked(row, background, names, message):
    with pytest.raises(ValueError, match=message):
        feature_game(lambda x: x.sum(axis=1), row, background, names)


@pytest.mark.parametrize("where", ["row", "background"])
def test_features_that_are_missing_are_named(where):
    row, background = np.ones(2), np.zeros((3, 2))
    (row if where == "row" else background[1])[1] = np.nan
    with pytest.raises(ValueError, match=r"lacks numbers \(NaN\) in \['year'\]"):
        feature_game(len, row, background, ["genre", "year"])


@pytest.mark.parametrize("fill", [[np.nan] * 4, [0.0], np.zeros((1, 4)), 0.0])
def test_what_fills_in_for_a_film_must_be_a_vector(fill):
    numbers = np.ones((40, 4), np.float32)
    model = SimpleNamespace(
        name="sum",
        n_items=40,
        score=None,
        vectors=lambda codes: numbers[codes],
        score_vectors=None,
    )
    with pytest.raises(ValueError, match="fill must hold 4 finite numbers"):
        imputed_game(model, HISTORY, 20, fill=fill)


def test_small_whole_numbers_do_not_wrap_around():
    """uint8 1 - 2 is 255: scores are floats before anything is subtracted."""
    game = Game(tuple("ab"), "t", lambda m: 2 - m.sum(axis=1).astype(np.uint8))
    assert brute_force(game).values.tolist() == [-1, -1]
    assert leave_one_out(game).values.tolist() == [-1, -1]
    assert permutation_sampling(game, 4).values.tolist() == [-1, -1]


def test_a_predict_with_a_column_axis_is_refused():
    game = feature_game(lambda x: x[:, :1], np.ones(2), np.zeros((3, 2)), ["a", "b"])
    with pytest.raises(ValueError, match="pick one output column"):
        game.full()


# ---------------------------------------------------------------- explanations


def explanation(values=(0.5, -2.0, 1.0), error=None):
    return Explanation(
        ("a", "b", "c"),
        "score of Heat",
        values,
        base=1.0,
        score=0.75,
        method="hand",
        error=error,
    )


def test_table_is_sorted_by_size_and_top_by_value():
    each = explanation(error=[0.1, 0.2, 0.3])
    expected = pd.DataFrame(
        {"player": ["b", "c", "a"], "value": [-2.0, 1.0, 0.5], "error": [0.2, 0.3, 0.1]}
    )
    pd.testing.assert_frame_equal(each.table(), expected, check_dtype=False)
    assert each.table(1).player.tolist() == ["b"]
    assert explanation().table().error.isna().all()
    assert each.top().tolist() == [2, 0, 1] and each.top(1).tolist() == [2]
    assert each.gap == pytest.approx(0.75 - 1 + 0.5)


def test_it_says_itself():
    assert explanation().sentence(2) == (
        "Score of Heat: 0.75, from a base of 1. Strongest reasons by hand: b (-2), c (+1)."
    )
    assert (
        repr(explanation()) == "Explanation(hand of 'score of Heat': 3 players, 0.00 s)"
    )
    html = explanation(error=[0, 0.25, 0])._repr_html_()
    assert "<td>b</td>" in html and "-2.0" in html and "<script" not in html


def test_values_are_a_frozen_copy():
    values = np.array([1.0, 2.0, 3.0])
    each = explanation(values)
    values[0] = 9
    assert each.values[0] == 1
    with pytest.raises(ValueError, match="read-only"):
        each.values[0] = 5


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ([1.0, 2.0], None, "values must hold one finite number for each of 3 players"),
        ([1.0, 2.0, np.nan], None, "values must hold"),
        ([1.0, 2.0, 3.0], [0.1], "error must hold"),
        ([1.0, 2.0, 3.0], [0.1, np.inf, 0.1], "error must hold"),
        ([1.0, 2.0, 3.0], [0.1, -0.1, 0.1], r"error must lie in 0..inf, got .*-0.1"),
    ],
)
def test_explanations_are_checked(values, error, message):
    with pytest.raises(ValueError, match=message):
        explanation(values, error)


@pytest.mark.parametrize(("base", "score"), [(np.nan, 1.0), (0.0, np.inf)])
def test_base_and_score_are_finite(base, score):
    with pytest.raises(
        ValueError, match=r"base and score must be a 1-D array of finite"
    ):
        Explanation(("a",), "t", [1.0], base, score, "hand")


def test_a_random_game_far_from_zero_is_refused() -> None:
    rng = np.random.default_rng(0)
    game = Game(
        tuple("abcdef"),
        "t",
        lambda masks: 1000 + masks.sum(axis=1) + 2 * rng.normal(size=len(masks)),
    )
    with pytest.raises(ValueError, match="it is random"):
        brute_force(game)
