"""Measure what a model loses when its knees are corrupted.

The same knees are graded clean and with each corruption of `films/corruption.py`: blur, noise, a
darker and a brighter film, half the resolution, JPEG compression, a crop that is too wide or too
narrow, and rotation to either side. Their strengths stand there with their reasons.

Corruptions are applied at the size of the network's input and before the histogram is equalised.
Around a crop that is too wide or rotated, the knee is reflected, because its surroundings are not
known. Grades follow from the model's calibration and decision rule. Intervals are 95% by bootstrap
over persons; those of differences are paired.

MODEL may also be an .onnx file, such as kneekl-vgg16-multiloss.onnx, which ships. A knee is graded
once for each corruption, so --limit saves time.
"""

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path

from knee_attention.commands.arguments import (
    add_crop,
    add_model_and_data,
    refuse_missing,
)
from knee_attention.files import make_folder, write_json


def add_options(parser) -> None:
    """Add the options of `robustness`."""
    add_model_and_data(parser, writes="robustness.json and robustness.png",
                       limit=" (default: all)", needs_data=True)  # fmt: skip
    add_crop(parser)
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")


def run(options) -> None:
    """Measure the model, print the table, and write the files that the options name."""
    from knee_attention.startup import start_for

    refuse_missing([options.model])
    if options.output:
        make_folder(options.output)
    start_for(options.model)
    from knee_attention.datasets.persons import remark_on_persons
    from knee_attention.evidence.figures.audit import robustness_figure
    from knee_attention.evidence.robustness import robustness_heading, robustness_text
    from knee_attention.grading.grader import load_grader
    from knee_attention.grading.robustness import robustness

    with redirect_stdout(sys.stderr if options.json else sys.stdout):  # remarks on the data
        grader = load_grader(options.model, options.polarity, options.crop)
        found, knees = robustness(grader, options.data, options.split, options.limit, options.seed)
        for error in knees.unreadable:
            print(f"skipped {error}")
        if knees.manifest_remark:
            print(knees.manifest_remark)
        subjects = knees.splits[options.split].subjects
        if remark := remark_on_persons(grader.description, options.model, subjects):
            print(remark)
        if knees.inverted:
            print(f"inverted photographic negatives: {len(knees.inverted)}")
    results = {
        "model": grader.description.get("name") or options.model.stem,
        "data": Path(options.data).resolve().name,
        "split": options.split,
        **found,
    }
    if options.json:
        print(json.dumps(results, indent=2))
    else:
        print(robustness_heading(results), robustness_text(results), sep="\n\n")
    if options.output:
        written = [options.output / "robustness.json", options.output / "robustness.png"]
        write_json(written[0], results)
        robustness_figure(results, written[1])
        if not options.json:
            print(f"\nwritten: {written[0]}, {written[1]}")
