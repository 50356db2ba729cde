"""The page of `table.py`, from results that are made up."""

from tests.faults import table

KNOWN = ("hostile: a", "corruption: b", "soak: kept", "soak: streamed")
FOUND = {
    "soak: kept": {"rows": [["soak", 1, 0, 1]], "seconds": 90, "date": "2026-01-02"},
    "hostile: a": {"rows": [["a bomb", 20, 3, 0], ["a link", 7, 0, 0]], "seconds": 30, "date": "2026-01-01"},
}


def test_rows_stand_in_the_order_of_the_scripts_with_sums_and_what_is_missing():
    page = table.page(FOUND, KNOWN)
    assert page.splitlines()[-6:-2] == [
        "| a bomb | 20 | 3 | 0 | 0 | 2026-01-01 |",
        "| a link | 7 | 0 | 0 | 0 | 2026-01-01 |",
        "| soak | 1 | 0 | 1 | 2 | 2026-01-02 |",
        "| in all | 28 | 3 | 1 |  |  |",
    ]
    assert page.endswith("3 rows. Not tried yet: `corruption: b`, `soak: streamed`.\n")


def test_checks_are_chosen_by_script_or_by_name():
    assert table.chosen(KNOWN, ("soak: streamed", "hostile")) == ["soak: streamed", "hostile: a"]
    assert table.chosen(KNOWN, table.SCRIPTS) == list(KNOWN)


def test_every_script_has_checks(tmp_path):
    names = table.checks(tmp_path / "kept", tmp_path)
    assert {name.partition(":")[0] for name in names} == set(table.SCRIPTS)
