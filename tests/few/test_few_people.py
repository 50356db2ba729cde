from dataclasses import replace

import jax
import numpy as np
import pytest

from depthjax import load_config
from depthjax.data.depth_range import DepthRange
from depthjax.data.faces import DepthFaces
from depthjax.errors import UserError
from depthjax.few.people import cells_of, check_few, check_people, draw_people, further_cells, limits
from tests.conftest import SMOKE
from tests.data.trees import tree

NAMES = [f"person {i}" for i in range(12)]


def faces(subjects, lacking=()):
    """Two frames of each emotion of these subjects, except for pairs of a subject and an emotion."""
    labels = [(s, e, f) for s in subjects for e in range(3) for f in range(2) if (s, e) not in lacking]
    subject, emotion, frame = np.array(labels, np.int32).T
    images = np.zeros((len(labels), 4, 4), np.float32)
    return DepthFaces(images, emotion, subject, frame, ("neutral", "happiness", "fear"), DepthRange(-20, 130))


@pytest.fixture
def config():
    return load_config(SMOKE, {"few.people": (3, 0), "few.draws": 4, "few.trainings": 2})


def test_nobody_is_in_two_draws_while_people_are_left():
    draws = draw_people(np.arange(10, 22), 3, 6, seed=0)
    assert all(len(set(drawn)) == 3 for drawn in draws)
    assert sorted(np.concatenate(draws[:4])) == list(range(10, 22))  # then begins anew
    assert set(np.concatenate(draws[4:])) <= set(range(10, 22))
    for a, b in zip(draw_people(np.arange(10, 22), 3, 2, seed=0), draws, strict=False):
        assert np.array_equal(a, b)
    assert not np.array_equal(draw_people(np.arange(10, 22), 3, 1, seed=1)[0], draws[0])


def test_all_people_are_drawn_once(config):
    cells = cells_of(config, faces(range(8)).subject)
    assert [len(of) for of in cells.values()] == [4, 2] and list(cells) == [3, 8]
    assert {cell.subjects for cell in cells[8]} == {tuple(range(8))}
    keys = [jax.random.key_data(cell.key(0)).tobytes() for of in cells.values() for cell in of]
    assert len(set(keys)) == 6


def test_further_draws_have_nobody_in_common_with_any(config):
    people = faces(range(17)).subject
    cells = [*cells_of(config, people)[3], *further_cells(config, people, 3)]
    known = [cell.subjects for cell in cells if cell.training == 0]
    assert len(known) == 17 // 3 and len({of for draw in known for of in draw}) == 15
    assert further_cells(config, people, 17) == further_cells(config, people, 5) == []


def test_a_cell_has_seeds_of_its_own_and_the_same_every_time(config):
    cells = cells_of(config, faces(range(16)).subject)[3]
    seeds = [(c.sample.seed, c.evolve.seed, c.evaluate.seed) for c in (cell.settings(config) for cell in cells)]
    assert len(set(np.ravel(seeds))) == 3 * len(cells)
    more = cells_of(replace(config, few=replace(config.few, draws=5)), faces(range(16)).subject)[3]
    assert more[: len(cells)] == cells and len(more) == len(cells) + 2


def sizes(config, known):
    """The draws of each number of people, and the lines that tell of limits."""
    subject = faces(range(known)).subject
    draws = {people: len(cells) // config.few.trainings for people, cells in cells_of(config, subject).items()}
    return draws, limits(config, subject)


@pytest.mark.parametrize(
    ("known", "draws", "told"),
    [
        (48, {3: 5, 8: 5}, []),
        # 17 people and the default share of tested ones: 10 may be known.
        (10, {3: 3, 8: 2}, ["3 draws are made, not 5: more would share", "2 draws are made, not 5: they share"]),
        (7, {3: 2, 7: 1}, ["people=8: only 7 people may be known: all of them", "2 draws are made, not 5: more would"]),
        (2, {2: 1}, ["people=3: only 2", "people=8: only 2"]),
    ],
)
def test_few_people_are_drawn_less_often_and_it_is_told(config, known, draws, told):
    of, lines = sizes(replace(config, few=replace(config.few, people=(3, 8), draws=5)), known)
    assert of == draws and len(lines) == len(told)
    assert all(words in line for words, line in zip(told, lines, strict=True))


def test_too_few_people_are_refused(config):
    with pytest.raises(UserError, match=r"of 3 people 2 are to be tested on and 1 may be known: at least 2 and 2"):
        check_people(config, faces(range(1)), faces((8, 9)), NAMES)
    with pytest.raises(UserError, match="of 9 people 1 are to be tested on"):
        check_people(config, faces(range(8)), faces((8,)), NAMES)
    check_people(config, faces(range(8)), faces((8, 9)), NAMES)


def test_a_draw_with_less_than_a_batch_is_refused_whichever_size_is_trained_first(config):
    few = replace(config, few=replace(config.few, people=(0, 3)), train=replace(config.train, batch_size=20))
    with pytest.raises(UserError, match="18 faces to train on are fewer than a batch"):
        check_people(few, faces(range(8)), faces((8, 9)), NAMES)


def test_an_emotion_that_a_person_lacks_is_named(config):
    with pytest.raises(UserError, match=r"no face of 'fear' of person 4 \(1 other lacks an emotion, too\)"):
        check_people(config, faces(range(8), [(4, 2), (6, 0)]), faces((8, 9)), NAMES)


def test_people_without_names_are_refused(config, tmp_path):
    own = replace(config, data=replace(config.data, source="folder", path=str(tree(tmp_path))))
    with pytest.raises(UserError, match=r"the people have no names: .*, these fit: 's\{subject\}_f\{frame\}'"):
        check_few(own)
    grouped = replace(own, data=replace(own.data, pattern="**"))
    with pytest.raises(UserError, match=r"these fit: 's\{subject\}_f\{frame\}'"):
        check_few(grouped)
    with pytest.raises(UserError, match=r"the people have no names: set --config.data.pattern"):
        check_people(own, faces(range(8)), faces((8, 9)), [f"group {i}" for i in range(10)])
    check_people(own, faces(range(8)), faces((8, 9)), NAMES)


@pytest.mark.parametrize(("names", "says"), [((), "must name at least one"), (("svm",), "'svm' is not one of")])
def test_classifiers_that_cannot_be_trained_are_refused_before_anything_is_prepared(config, names, says):
    with pytest.raises(UserError, match=says):
        check_few(replace(config, evaluate=replace(config.evaluate, classifiers=names)))


def test_people_on_both_sides_are_refused(config):
    by_image = replace(config, data=replace(config.data, split="image"))
    with pytest.raises(UserError, match="nobody may be on both sides"):
        check_few(by_image)


def test_an_evolution_that_keeps_too_few_faces_is_refused(config):
    check_few(config)
    small = replace(config, evolve=replace(config.evolve, population=2))
    with pytest.raises(UserError, match=r"keeps 4 faces of each emotion, fewer than --config.sample.count=12"):
        check_few(small)
