"""What a table says of its rows."""

from audits.robustness.table import BEFORE, Measured, Row, table_of, tabulated
from tests.audits.builders_robustness import quick


def row(attack: str, trial: int, p: float, z: float = 1.0, failed: str = "") -> Row:
    levels = {} if failed else {"features": Measured(z, p, 0.6)}
    return Row(attack, trial, 40, 0.5 + trial / 10, levels, 2.0, failed)


def test_power_counts_p_at_or_below_alpha_with_an_exact_interval():
    settings = quick("int8", trials=4, alpha=0.01)
    ps = (0.01, 0.001, 0.02, 0.5)
    rows = [row(BEFORE, trial, 1e-9) for trial in range(4)]
    rows += [row("weights of 8 bits", trial, p, z=float(trial)) for trial, p in enumerate(ps)]
    before, after = tabulated(settings, rows).lines
    assert (before.powers["features"].found, after.powers["features"].found) == (4, 2)
    assert after.powers["features"].share == 0.5
    assert 0 < after.powers["features"].low < 0.5 < after.powers["features"].high < 1
    assert before.powers["features"].high == 1
    assert 0.2 < before.powers["features"].low < 0.3  # 4 of 4 leave open a share of 0.27 at 99 %: (0.005)^(1/4)
    assert after.powers["features"].median_z == 1.5
    assert abs(after.accuracy - 0.65) < 1e-12


def test_failed_rows_count_nowhere_and_say_why_once():
    settings = quick("int8", trials=2)
    rows = [row(BEFORE, 0, 0.5), *(row("weights of 8 bits", trial, 1.0, failed="It broke.") for trial in range(2))]
    line = tabulated(settings, rows).lines[1]
    assert (line.trials, line.powers, line.failed) == (0, {}, ("It broke.",))
    assert "not measured: It broke." in tabulated(settings, rows).to_markdown()


def test_a_line_without_rows_is_not_yet_measured_and_the_table_is_read_as_written():
    settings = quick("int8", "recaption")
    table = tabulated(settings, [row(BEFORE, 0, 0.5)], settings.refusals(labelled=True))
    assert "not measured: not yet" in table.to_markdown()
    assert table_of(table.to_json()) == table
