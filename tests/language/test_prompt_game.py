"""Lines and words of a prompt as players, on a tiny language model with known answers."""

from __future__ import annotations

import numpy as np
import pytest

import tiny_llm
from xrec_utils.explain.shapley import brute_force
from xrec_utils.games.explanation import Explanation
from xrec_utils.language import prompt_game
from xrec_utils.language.prompts import chat, message


@pytest.fixture(scope="module")
def case() -> prompt_game.Preference:
    return prompt_game.Preference(
        tiny_llm.tiny_lm(), ("Alien", "Big Fish", "Cube 2"), "Dune", "Elf"
    )


def likelihood(case: prompt_game.Preference, history: tuple[str, ...]) -> float:
    film, other = case.model.likelihood(
        [chat(message(history))], [[case.film, case.other]]
    )[0]
    return film - other


def test_the_game_is_the_preference_after_each_group_of_lines(
    case: prompt_game.Preference,
) -> None:
    game = case.game()
    masks = np.array([[True, False, True], [False, False, False], [True, True, True]])
    histories = (("Alien", "Cube 2"), (), case.history)
    prompts = [chat(message(films)) for films in histories]
    # read in one tree of tokens, as the game reads them: the same numbers
    nats = np.array(case.model.likelihood(prompts, [[case.film, case.other]] * 3))
    np.testing.assert_array_equal(game(masks), nats[:, 0] - nats[:, 1])
    # Read alone they differ by float32's own error. In a tree a token's attention also
    # adds zeros, for the tokens of other prompts, and TensorFlow sums in blocks of
    # another size: here hidden states differ by 1e-5, and so do the logits. A softmax
    # in float64 would not help, for it is given logits that differ already.
    alone = [likelihood(case, films) for films in histories]
    np.testing.assert_allclose(game(masks), alone, rtol=0, atol=5e-6)
    assert game.target == "preference for Dune over Elf"
    assert brute_force(game).gap == pytest.approx(0, abs=1e-9)


def test_probabilities_have_two_columns_and_skip_lines_without_words(
    case: prompt_game.Preference,
) -> None:
    found = prompt_game.probabilities(case.of)(
        ["Alien\nBig Fish\nCube 2", "Alien\n \nCube 2", "\n", "Alien\n  \n - "]
    )
    assert found.shape == (4, 2)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    expected = [
        likelihood(case, films)
        for films in (case.history, ("Alien", "Cube 2"), (), ("Alien",))
    ]
    np.testing.assert_allclose(np.log(found[:, 1] / found[:, 0]), expected, atol=1e-5)


def test_lime_gives_every_word_a_weight_and_adds_them_up_by_line(
    case: prompt_game.Preference,
) -> None:
    explained, spoken = prompt_game.lime_words(case, samples=40)
    assert [word for word, _ in spoken] == ["Alien", "Big", "Fish", "Cube", "2"]
    weights = [weight for _, weight in spoken]
    np.testing.assert_allclose(
        explained.values, [weights[0], sum(weights[1:3]), sum(weights[3:])]
    )
    assert explained.players == case.history and explained.score == pytest.approx(prompt_game.probabilities(case.of)(
        ["\n".join(case.history)])[0, 1])  # fmt: skip
    again, _ = prompt_game.lime_words(case, samples=40)
    np.testing.assert_array_equal(again.values, explained.values)


def test_every_token_of_a_line_belongs_to_it(case: prompt_game.Preference) -> None:
    tokens, lines = prompt_game.line_of_tokens(case)
    text = case.model.tokenizer.decode(tokens)
    assert text == chat(message(case.history))
    for n, film in enumerate(case.history):
        mine = "".join(
            letter for letter, line in zip(text, lines, strict=True) if line == n
        )
        assert mine.strip() == f"{n + 1}. {film}"


def test_gradients_add_up_to_the_difference_from_their_start() -> None:
    """With enough steps the integral is exact: the values close the gap, and no token
    outside the lines has credit.
    """
    case = prompt_game.Preference(tiny_llm.tiny_lm(), ("Up", "Elf"), "Dune", "Big")
    table = case.model.model.words.embeddings
    table.assign_add(
        np.full(table.shape, 1.5)
    )  # the mean word lies away from zero, as SmolLM2's does
    explained, credit = prompt_game.line_gradients(case, steps=10)
    assert explained.score == pytest.approx(likelihood(case, case.history), abs=1e-5)
    moved = abs(explained.score - explained.base)
    assert abs(explained.gap) < 0.005 * moved
    assert np.all(credit[prompt_game.Reading.of(case).lines < 0] == 0)
    np.testing.assert_allclose(credit.sum(), explained.values.sum(), atol=1e-6)
    coarse, _ = prompt_game.line_gradients(case, steps=1)
    assert abs(coarse.gap) > abs(explained.gap)


def test_attention_of_a_line_is_a_share(case: prompt_game.Preference) -> None:
    explained, weights = prompt_game.line_attention(case)
    reading = prompt_game.Reading.of(case)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)
    assert explained.values.sum() == pytest.approx(
        weights.mean(axis=0)[reading.lines >= 0].sum(), abs=1e-6
    )
    assert (explained.values > 0).all()


def explained(values: list[float], error: list[float] | None) -> Explanation:
    films = ("Alien", "Big Fish", "Cube 2", "Dune")[: len(values)]
    noise = None if error is None else np.array(error)
    return Explanation(
        films,
        "preference for Elf over Up",
        np.array(values),
        0.0,
        1.0,
        "a guess",
        error=noise,
    )


def test_the_template_names_the_films_above_twice_their_error() -> None:
    found = prompt_game.template_reason(
        explained([0.3, -0.9, 0.5, 0.21], [0.1, 0.1, 0.1, 0.105])
    )
    assert found == (
        "“Cube 2” and “Alien” raise the model's preference for Elf over Up.",
        [2, 0],
    )
    one = prompt_game.template_reason(explained([0.3, 0.1], [0.1, 0.1]))
    assert (
        one.sentence == "“Alien” raises the model's preference for Elf over Up."
        and one.cited == [0]
    )
    assert prompt_game.template_reason(explained([3, 1, 4, 2], [0, 0, 0, 0])).cited == [
        2,
        0,
        3,
    ]
    assert prompt_game.template_reason(
        explained([3, 1, 4, 2], [0, 0, 0, 0]), k=1
    ).cited == [2]


def test_the_template_says_so_when_no_film_is_sure() -> None:
    found = prompt_game.template_reason(explained([0.1, -1.0, 0.0], [0.06, 0.0, 0.0]))
    assert found.cited == [] and found.sentence.startswith(
        "No single film of your list clearly raises"
    )
    with pytest.raises(ValueError, match="without standard errors"):
        prompt_game.template_reason(explained([0.1, 0.2], None))
