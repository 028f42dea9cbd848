"""A DICOM node and the archive that it sends to."""

import logging

import pytest


@pytest.fixture
def archive():
    from stand_in_archive import StandIn

    stand_in = StandIn()
    stand_in.start()
    yield stand_in
    stand_in.stop()


@pytest.fixture
def node(tmp_path, archive, caplog):
    """Starts nodes that end with the test; gives a node's port."""
    from study_films import ALGORITHM, bright_knee_grader, free_port

    from knee_attention.grading.node.archive import Archive
    from knee_attention.grading.node.node import Node

    caplog.set_level(logging.INFO, "knee_attention")
    started = []

    def start(to=archive, grader=None, **options):
        address = Archive("ARCHIVE", "127.0.0.1", to.port)
        folder = tmp_path / "queue"
        started.append(Node(grader or bright_knee_grader(), ALGORITHM, address, folder, **options))
        port = free_port()
        started[-1].start("127.0.0.1", port)
        return port

    yield start
    for one in started:
        one.stop()
