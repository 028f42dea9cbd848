"""Audit a model's attention: where it looks, whether it depends on the image, whether it matters.

Each measure has a 95% interval by bootstrap over persons, and each branch is measured by itself.

To measure where attention looks, joints must be known: phantoms, displaced joints (of a model that
was trained with --displace), or masks of experts (--masks). The highest point counts as on the
joint if it lies on it or within half a cell of the mask's grid. For comparison the same is measured
for the mean mask, a uniform mask, a horizontal band (the middle quarter of the rows), and Grad-CAM
and HiResCAM of the same features for the predicted grade.

Whether it depends on the image: the correlation of each mask with the mean mask and with the mask
of another person's knee; and with itself after the weights are shuffled, from the top of the
network down to its input (Adebayo 2018). At most 84 knees are graded with shuffled weights, in
three parts with a shuffling each.

Whether it matters: the grades with the mean mask, another knee's, a uniform or an inverted mask in
the place of each knee's own.

The folder of a run keeps the audit as audit.json, and `publish` publishes it with the run.
"""

import json
import sys
from contextlib import redirect_stdout

from knee_attention.commands.arguments import (
    add_model_and_data,
    as_path,
    keep_with_run,
    prepare_output,
    refuse_missing,
)
from knee_attention.datasets.layout import SPLITS
from knee_attention.errors import InputError
from knee_attention.files import write_json
from knee_attention.runs.run_folder import RunFolder

KNEES = 800
"""Knees that are audited by default. More cost time and memory and change little."""


def add_options(parser) -> None:
    """Add the options of `audit`."""
    add_model_and_data(
        parser, writes="audit.json and audit.png", limit="; those with a mask in --masks are all "
        f"used (default: {KNEES}, phantoms as in the training)",
    )  # fmt: skip
    parser.add_argument("--masks", type=as_path, metavar="DIR",
                        help="measure where attention looks on the knees with a mask in this "
                        "folder: an image of the knee's name, above 127 in the joint")
    parser.add_argument("--masks-split", choices=SPLITS, metavar="SPLIT",
                        help="the split of the knees with a mask (default: that of --split)")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the tables")


def run(options) -> None:
    """Audit the model, print the findings, and write the files that the options name."""
    refuse_missing([options.model])
    prepare_output(options.output)
    if options.masks_split and not options.masks:
        raise InputError("--masks-split says where the knees of --masks are; give --masks too")
    from knee_attention.startup import start_keras

    start_keras()
    from knee_attention.evidence.figures.audit import audit_figure
    from knee_attention.evidence.result_lines import audit_heading, audit_text
    from knee_attention.runs.finished.auditing import audit

    with redirect_stdout(sys.stderr if options.json else sys.stdout):  # remarks on the data
        model, knees, knees_with_joints, about = _opened(options)
    found = audit(model, knees, knees_with_joints)
    results = about | found.results
    if options.json:
        print(json.dumps(results, indent=2))
    else:
        print(audit_heading(results), audit_text(results), sep="\n\n")
    written = []
    if options.output:
        written = [RunFolder(options.output).audit_file, options.output / "audit.png"]
        write_json(written[0], results)
        audit_figure(results, found.mean_masks, written[1])
    if options.model.is_dir():
        path = RunFolder(options.model).audit_file
        if keep_with_run(path, results):
            written.append(path)
    if written and not options.json:
        print(f"\nwritten: {', '.join(map(str, written))}")


def _opened(options) -> tuple:
    """The model, its knees, those with known joints or None, and what they are, for the results."""
    from knee_attention.datasets.persons import remark_on_persons
    from knee_attention.runs.finished.saved_model import (
        knee_source,
        open_with_network,
        refuse_other_preparations,
    )

    saved, network = open_with_network(options.model)
    refuse_other_preparations([saved], options.data)
    limit = options.limit or (KNEES if options.data else None)
    source = knee_source(saved, options.data, options.split, limit, options.seed, options.polarity)
    knees, knees_with_joints = source.knees(saved.image_size), None
    if remark := remark_on_persons(saved.description, options.model, knees.subjects):
        print(remark)
    about = {"model": saved.name, "data": source.name, "split": options.split}
    if options.masks:
        about |= {"masks": options.masks.name, "masks_split": options.masks_split or options.split}
        with_masks = knee_source(saved, options.data, about["masks_split"], None, options.seed,
                                 options.polarity, options.masks)  # fmt: skip
        knees_with_joints = with_masks.knees(saved.image_size)
    return network, knees, knees_with_joints, about
