from dataclasses import replace

import numpy as np
import pytest

from depthjax.few import results
from depthjax.few.effects import mean_over_people, standard_error
from depthjax.few.results import markdown, recommended, sentences, table_of
from depthjax.few.run import Found

ROWS = ("real", "augmented", "mixtures", "cdcgan_kd", "augmented+cdcgan_kd")


def found(*shares, people=3, noise=0.05):
    """Accuracies of 4 draws, 2 trainings and 40 subjects, whose rows have these means; draws shift all rows alike."""
    rng = np.random.default_rng(0)
    values = np.array(shares)[None, None, :, None, None] + 0.1 * rng.standard_normal((4, 1, 1, 1, 1))
    values = values + noise * rng.standard_normal((4, 2, len(ROWS), 1, 40))
    known = np.arange(4 * people).reshape(4, people)
    return Found(ROWS, ("random_forest",), np.arange(40), {people: known}, {people: values})


@pytest.mark.parametrize(
    ("shares", "row", "says"),
    [
        ((0.6, 0.7, 0.6, 0.6, 0.7), "augmented", "use augmented copies: 7"),
        ((0.6, 0.7, 0.6, 0.6, 0.8), "augmented+cdcgan_kd", "use augmented copies and KD-cDCGAN faces: 8"),
        ((0.6, 0.7, 0.6, 0.9, 0.8), "cdcgan_kd", "more than with augmented copies."),
        ((0.6, 0.6, 0.5, 0.5, 0.6), "real", "use their faces alone: 6"),
    ],
)
def test_the_sentence_follows_from_the_numbers(shares, row, says):
    of = found(*shares)
    table = table_of(of)
    assert recommended(of, table, 3, "random_forest") == row
    (text,) = sentences(of, table)
    assert text.startswith("From 3 people, ") and says in text and text.count(".  ") == 0


def test_a_difference_is_paired_within_a_cell():
    """Draws differ by ten points, which a difference of two rows of the same cells does not see."""
    of = found(0.6, 0.7, 0.6, 0.6, 0.72)
    table = table_of(of)
    alone, gain = table.at(3, "augmented", "random_forest"), table.at(3, "augmented", "random_forest", "real")
    assert alone.high - alone.low > 0.09 > 0.03 > gain.high - gain.low
    values = of.accuracy[3]
    assert gain.value == pytest.approx((values[:, :, 1] - values[:, :, 0]).mean())
    assert gain.low < 0.1 < gain.high and gain.p < 0.001


def test_p_values_are_adjusted_within_a_comparison():
    of = found(0.6, 0.601, 0.602, 0.603, 0.604, noise=0.02)
    table = table_of(of)
    values = of.accuracy[3][:, :, :, 0]
    raw = {row: mean_over_people(values[:, :, i] - values[:, :, 1]).p for i, row in enumerate(ROWS) if i > 1}
    given = {row: table.at(3, row, "random_forest", "augmented").p for row in raw}
    assert given[min(raw, key=raw.get)] == pytest.approx(min(1, 3 * min(raw.values())))
    assert all(given[row] >= raw[row] for row in raw)


def test_tables_hold_every_row_and_the_page_says_what_is_significant():
    of = found(0.6, 0.7, 0.6, 0.6, 0.8)
    table = table_of(of)
    assert len(table.to_csv().splitlines()) == 1 + 5 + 4 + 3
    page = markdown(of, table)
    lines = [line for line in page.splitlines() if line.startswith("| random_forest")]
    assert len(lines) == len(ROWS) and lines[-1].count(" *") == 2 and "augmented copies and KD-cDCGAN" in lines[-1]
    assert "Accuracy on 40 other people" in page and "several draws" not in page and "-0.0" not in page


def test_what_an_interval_is_of_is_said():
    of = found(0.6, 0.7, 0.6, 0.6, 0.8)
    shared = replace(of, known={3: np.zeros((4, 3), np.int32)})
    assert "intervals are too narrow" in markdown(shared, table_of(shared))
    one = replace(of, known={3: of.known[3][:1]}, accuracy={3: of.accuracy[3][:1]})
    assert "over trainings and people tested, for these known people" in markdown(one, table_of(one))
    once = replace(of, accuracy={3: of.accuracy[3][:, :1]})
    assert "4 draws of people, and 1 training of each." in markdown(once, table_of(once))
    assert "2 trainings of each." in markdown(of, table_of(of)) and "Every other set" in markdown(of, table_of(of))


def test_rows_without_a_generator_may_have_more_draws():
    """A difference is over the draws that both rows have; trainings are averaged where some draws have one."""
    of = found(0.6, 0.7, 0.6, 0.6, 0.72)
    more = np.full((3, *of.accuracy[3].shape[1:]), np.nan)
    more[:, 0, :3] = 0.5
    wide = replace(of, accuracy={3: np.concatenate([of.accuracy[3], more])}, known={3: np.arange(21).reshape(7, 3)})
    table, before = table_of(wide), table_of(of)
    assert [table.at(3, row, "random_forest").draws for row in ROWS] == [7, 7, 7, 4, 4]
    of_generator = (3, "cdcgan_kd", "random_forest", "augmented")
    assert replace(table.at(*of_generator), p=None) == replace(before.at(*of_generator), p=None)
    mixed = table.at(3, "augmented", "random_forest", "real")
    assert mixed.value == pytest.approx((4 * before.at(3, "augmented", "random_forest", "real").value) / 7)
    assert wide.on_all_draws(3, "real", "random_forest") == of.on_all_draws(3, "real", "random_forest")
    page = markdown(wide, table)
    assert "means of 4 draws" in page and "Rows of more than 4 draws need no generator" in page


def test_the_simplest_row_within_one_standard_error_is_used():
    of = found(0.6, 0.7, 0.701, 0.6, 0.702, noise=0.1)
    assert recommended(of, table_of(of), 3, "random_forest") == "augmented"
    # Of two that are as good, the one whose gain is significant.
    steady = found(0.6, 0.7, 0.7, 0.6, 0.7, noise=0.01)
    steady.accuracy[3][:, :, 2] += np.array([0.12, -0.04, 0.1, -0.02])[:, None, None, None]
    steady.accuracy[3][:, :, 4] += 0.04
    assert recommended(steady, table_of(steady), 3, "random_forest") == "augmented+cdcgan_kd"
    values = of.values(3, "augmented+cdcgan_kd", "random_forest", "real")
    estimate = mean_over_people(values)
    error = standard_error(values)
    assert 2 * error < estimate.high - estimate.value < 4 * error  # t quantiles of 3 to some degrees of freedom


def test_without_an_interval_nothing_is_recommended():
    of = found(0.6, 0.7, 0.6, 0.6, 0.8)
    alone = replace(of, accuracy={3: of.accuracy[3][:1, :1]})
    assert sentences(alone, table_of(alone)) == [
        "From 3 people, nothing can be recommended (no interval: there is only one training)."
    ]


def test_no_minus_stands_before_zero():
    of = found(0.6, 0.7, 0.6, 0.6, 0.6999, noise=0)
    assert "| 0.0 (0.0 to 0.0) * |" in markdown(of, table_of(of))


def test_the_gain_is_also_that_over_the_best_classifier_with_copies():
    """A weak classifier may gain most: what counts is what it reaches beyond any with copies alone."""
    weak, strong = (found(*shares) for shares in ((0.5, 0.6, 0.5, 0.9, 0.6), (0.6, 0.8, 0.6, 0.6, 0.8)))
    both = np.concatenate([weak.accuracy[3], strong.accuracy[3]], axis=3)
    of = replace(weak, classifiers=("network", "random_forest"), accuracy={3: both})
    (text,) = sentences(of, table_of(of))
    gain = 100 * (both[:, :, 3, 0] - both[:, :, 1, 1]).mean()
    assert "(network)" in text and f"and {gain:.1f} points" in text and text.endswith("copies, random forest.")
    assert "chosen by these numbers" in markdown(of, table_of(of))


def test_a_set_that_stays_behind_the_best_classifier_with_copies_is_said_to():
    """Only the network gains; from copies alone the forest, whose own recommendation is worse, is better still."""
    weak, strong = (found(*shares) for shares in ((0.5, 0.6, 0.5, 0.75, 0.6), (0.78, 0.8, 0.6, 0.6, 0.78)))
    both = np.concatenate([weak.accuracy[3], strong.accuracy[3]], axis=3)
    of = replace(weak, classifiers=("network", "random_forest"), accuracy={3: both})
    said = results._beyond_best(of, 3, "cdcgan_kd", "network")
    gain = mean_over_people(both[:, :, 3, 0] - both[:, :, 1, 1])
    low, high, value = (f"{100 * -end:.1f}" for end in (gain.high, gain.low, gain.value))
    assert gain.value < 0
    assert said.startswith(
        f", but {value} points ({low} to {high}) less than the best other classifier with augmented copies"
    )
