from knee_attention.evidence.metrics import grade_metrics
from knee_attention.evidence.paper import PAPER_TABLE_1
from knee_attention.evidence.result_lines import results_table


def results(synthetic=False):
    import numpy as np

    metrics = grade_metrics(np.zeros(4, int), np.eye(5)[[0, 0, 1, 0]] * 0.5 + 0.1)
    return {
        "name": "vgg16_multiloss", "backbone": "vgg16", "variant": "multiloss",
        "synthetic": synthetic, "split": "test", "knees": 4, "chosen": "att0",
        "test": {"att0": metrics, "att1": {**metrics, "kappa": None}, "ensemble": metrics},
    }  # fmt: skip


def test_the_paper_s_number_stands_beside_ours():
    table = results_table(results())
    line = next(line for line in table.splitlines() if line.startswith("att0*"))
    assert line.split()[1] == "0.750" and line.split()[-1] == "0.643"
    assert "att1" in table and "0.632" in table


def test_synthetic_results_say_so():
    assert "synthetic" in results_table(results(synthetic=True))
    assert "synthetic" not in results_table(results())


def test_table_1_is_complete():
    assert len(PAPER_TABLE_1) == 4
    assert all(
        list(cells) == ["att0", "att1", "att2", "early_fusion", "multiloss"]
        for cells in PAPER_TABLE_1.values()
    )
