"""Fixtures: a DICOM node and its archive."""

import logging

import pytest


@pytest.fixture
def archive():
    from study_films import StandIn

    stand_in = StandIn()
    stand_in.start()
    yield stand_in
    stand_in.stop()


@pytest.fixture
def node(tmp_path, archive, caplog):
    """Starts nodes, returns a node's port, and stops the nodes after the test."""
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
