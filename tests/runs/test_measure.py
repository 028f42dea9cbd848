import numpy as np

from knee_attention.datasets.knees import Knees
from knee_attention.runs.measure import localise


def test_each_branch_is_scored_by_its_own_masks():
    joints = np.zeros((2, 8, 8), bool)
    joints[:, 2:4, 2:6] = True
    knees = Knees(np.zeros((2, 8, 8), np.uint8), np.zeros(2, int), ["1R", "1L"], ["1", "1"], joints)
    on = np.where(joints, 0.9, 0.1).astype(np.float32)
    scores = localise({"att0": 1 - on, "att2": on}, knees)
    assert list(scores) == ["att0", "att2"]
    assert scores["att0"]["inside_over_outside"] < 0.2 < 5 < scores["att2"]["inside_over_outside"]
