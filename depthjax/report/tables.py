"""The tables of a run, as shown in its page and written to its files."""

from __future__ import annotations

from typing import Any

from depthjax.report.table import Table
from depthjax.report.table_1 import table_1, table_1_published
from depthjax.report.table_2 import table_2, table_2_published
from depthjax.report.table_3 import table_3
from depthjax.report.table_4 import table_4


def all_tables(evaluation: dict[str, Any], classes: int) -> dict[str, Table]:
    """Every table by name, in the order in which they are read.

    What was not computed stands as words in its cell, and why in a note: an evaluation.json of an earlier schema gives
    the same tables with fewer numbers.

    Args:
        evaluation: evaluation.json.
        classes: the number of emotions.
    Raises:
        UserError: there are no methods, or what is stored as a number is none.
    """
    made = (
        table_1(evaluation, classes),
        table_1_published(evaluation, classes),
        table_2(evaluation),
        table_2_published(evaluation),
        table_3(evaluation),
        table_4(evaluation),
    )
    return {table.name: table for table in made}
