"""Measure a saved model on the knees of a data set.

Without --data, a model that was trained on phantoms is measured on the same phantoms. With several
models (--with), each is measured on the same knees. Their ensemble (mean before the softmax) is
measured too, and the first model is compared with all others, knee by knee. Brackets hold 95%
intervals by bootstrap over persons.

--masks measures attention instead, on knees with an expert's mask of the joint: once with the exact
mask, and once with the mask widened by half a cell of each branch's grid, because the joint space
is thinner than a cell. A run's folder keeps the result as expert_masks.json, unless --limit is
given, and `report` shows it.

The probabilities are those of the network, without the calibration in the model file, which
`grade` applies. Only the table of decision rules and the line on prediction sets apply it.

--flips averages the network's values over each knee and its mirror image; the paper does not. A
model that was trained with --flips is always measured so.
--pictures draws each model's attention on a knee of each grade and on its worst mistakes.
"""

from pathlib import Path

from knee_attention.commands.arguments import (
    add_model_and_data,
    as_path,
    keep_with_run,
    model_named,
    prepare_output,
    refuse_missing,
)
from knee_attention.errors import InputError
from knee_attention.files import make_folder, write_json
from knee_attention.networks.files.description import masked_branches
from knee_attention.runs.run_folder import RunFolder


def add_options(parser) -> None:
    """Add the options of `evaluate`."""
    add_model_and_data(parser, writes="predictions.csv and results.json")
    parser.add_argument("--with", dest="others", nargs="+", type=model_named, default=[],
                        metavar="RUN_OR_MODEL", help="further models to compare and to average")
    parser.add_argument("--masks", type=as_path, metavar="DIR",
                        help="measure attention on the knees with a mask in this folder: an image "
                        "of the knee's name, above 127 in the joint")
    parser.add_argument("--flips", action="store_true",
                        help="average over each knee and its mirror image")
    parser.add_argument("--pictures", type=as_path, metavar="DIR",
                        help="draw the attention on a knee of each grade and on the worst mistakes "
                        "into this folder")


def run(options) -> None:
    """Measure the models, print the main results, and write the files that the options name."""
    refuse_missing([options.model, *options.others])
    prepare_output(options.output)
    if options.pictures:
        make_folder(options.pictures)
    from knee_attention.startup import start_keras

    start_keras()
    from knee_attention.runs.finished import comparison
    from knee_attention.runs.finished.saved_model import (
        knee_source,
        open_saved,
        refuse_other_preparations,
    )

    saved = [open_saved(path) for path in (options.model, *options.others)]
    refuse_other_preparations(saved, options.data)
    for model in saved:
        if options.masks and not masked_branches(model.description):
            raise InputError(f"{model.given}: a network without attention; leave out --masks")
    labels = _labels(saved)
    source = knee_source(
        saved[0], options.data, options.split, options.limit, options.seed, options.polarity,
        options.masks,
    )
    models = [
        comparison.measure_saved(model, source, label, options.flips)
        for model, label in zip(saved, labels, strict=True)
    ]
    compared = comparison.compare(models) if len(models) > 1 else None
    if source.masks:
        print(_attention_text(models, source))
        if not source.limit:
            _keep_with_runs(saved, models, source.name)
    else:
        print(_text(models, compared, source.title))
    if source.data:
        for line in dict.fromkeys(line for model in saved for line in _remarks(model, source)):
            print(line)
        for model, label in zip(saved, labels, strict=True):
            if model.description.get("synthetic"):
                print(f"{label} was trained on synthetic phantoms")
    if options.output:  # below the results, which a failure to write must not hide
        _write(options.output, models, compared)
    if options.pictures:
        for model in models:
            origin = f"{model.label}, {source.name} {source.split} split"
            if "flips" in model.results:
                origin += ", graded with their mirror images"
            files = comparison.draw(model, origin, options.pictures)
            print(f"pictures: {', '.join(map(str, files))}")
    if not options.output and not source.masks:
        print("\n--output DIR writes all metrics and the predictions for each knee")


def _remarks(saved, source) -> list[str]:
    """Remarks on the knees of an evaluation: whether the figures can be trusted."""
    from knee_attention.datasets.persons import remark_on_persons
    from knee_attention.films.preparation import Preparation
    from knee_attention.runs.known_data import remark_on_data
    from knee_attention.runs.stretching import remark_on_shape

    run = RunFolder(saved.path.parent)
    crop = Preparation.recorded(saved.description, saved.given).known_crop
    size = saved.description["image_size"]
    remarks = [
        remark_on_data(run, source.data, source.split, source.limit, source.seed),
        remark_on_shape(source.data, source.split, saved.given, crop, size),
        remark_on_persons(saved.description, saved.given, source.knees(tuple(size)).subjects),
    ]
    fitted_to = saved.experiment.get("data")
    own = fitted_to == source.name and source.split == "validation"
    if own and saved.description.get("decision"):
        remarks.append("remark: the decision rules and the prediction sets were fitted to these "
                       "knees; the model's card has cross-validated figures")
    return [remark for remark in remarks if remark]


def _labels(saved: list) -> list[str]:
    """The models' names; their paths if two models have the same name."""
    names = [model.identity()["name"] for model in saved]
    return names if len(set(names)) == len(names) else [str(model.given) for model in saved]


def _text(models: list, compared: dict | None, title: str) -> str:
    from knee_attention.evidence import result_lines
    from knee_attention.evidence.predictions import ENSEMBLE

    first = models[0].results
    rows, attention = {}, {}
    for model in models:
        for output, metrics in model.results[first["split"]].items():
            mark = "*" if output == model.chosen else ""
            rows[f"{model.label} {output}{mark}"] = metrics
        for branch, scores in model.results.get("localisation", {}).items():
            attention[f"{model.label} {branch}"] = scores
            averaged = model.results["localisation_averaged"][branch]
            attention[f"{model.label} {branch}, mean of its masks"] = averaged
    if compared:
        rows["all together"] = compared[ENSEMBLE]
    legend = "* chosen by validation loss"
    if any(model.chosen == ENSEMBLE for model in models):
        legend += "; the ensemble if the model file does not record it"
    lines = [
        f"{first['knees']} {first['split']} knees of {first['subjects']} persons ({title}); "
        "in brackets 95% intervals over persons",
        "",
        result_lines.metrics_table(rows),
        legend,
    ]
    flipped = [model.label for model in models if "flips" in model.results]
    if flipped:
        lines.append(f"averaged over each knee and its mirror image: {', '.join(flipped)}")
    if compared:
        pairs = {f"{pair['first']} - {pair['second']}": pair for pair in compared["differences"]}
        lines += ["", result_lines.difference_table(pairs)]
        lines += [f"{copy} has the same predictions as {model} and counts once"
                  for copy, model in compared["copies"].items()]
    for model in models:
        lines += ["", result_lines.rules_table(f"{model.label} {model.chosen}", model.results)]
    if attention:
        lines += ["", result_lines.attention_table(attention)]
    if first["subjects"] < 2:
        lines += ["", "no intervals: the knees are of one person"]
    if next(iter(rows.values()))["oa_auc"] is None:
        lines += ["", "no AUC of osteoarthritis: all knees have it, or none has"]
    return "\n".join(lines)


def _attention_text(models: list, source) -> str:
    from knee_attention.evidence import result_lines

    lines = [f"attention on {models[0].results['knees']} {source.split} knees of {source.title} "
             f"that have a mask in {source.masks}"]
    for title, key in (("exact masks", "localisation"),
                       ("masks widened by half a cell of the branch's grid",
                        "localisation_widened"),
                       ("the branch's mean attention in place of each knee's",
                        "localisation_averaged")):
        rows = {
            f"{model.label} {branch}": scores
            for model in models
            for branch, scores in model.results[key].items()
        }
        lines += ["", title, result_lines.attention_table(rows)]
    return "\n".join(lines)


def _keep_with_runs(saved: list, models: list, data: str) -> None:
    """Write expert_masks.json into the folder of every model that is given as a run."""
    for origin, model in zip(saved, models, strict=True):
        if origin.given.is_dir():
            path = RunFolder(origin.given).expert_masks_file
            results = model.results
            kept = {
                "data": data,
                "split": results["split"],
                "knees": results["knees"],
                "exact": results["localisation"],
                "widened": results["localisation_widened"],
                "averaged": results["localisation_averaged"],
            }
            if keep_with_run(path, kept):
                print(f"\nkept with the run: {path}")


def _write(output: Path, models: list, compared: dict | None) -> None:
    first = models[0]
    results = first.results
    if compared:
        results = results | {
            "others": [model.results for model in models[1:]], "comparison": compared
        }
    kept = RunFolder(output)
    kept.write_predictions(first.predictions, first.chosen)
    write_json(kept.results_file, results)
    print(f"\npredictions.csv and results.json: {output}")
