r"""What the model that ships reaches on films of another hospital.

    python experiments/other_hospitals.py --data FILMS --title "Another country" \
        --output experiments/results/kneekl224/other_hospitals.csv

FILMS has the folders 0 to 4, named after the grades, with a film of one knee in each file. Each
film is graded through the normal path, as a whole image and as its centre square. Then the films of
half of the persons serve for local calibrations, which are measured on the other half (20 splits).
"""

import argparse

from knee_attention.commands.arguments import as_path
from knee_attention.errors import InputError
from knee_attention.networks.files.location import DEFAULT, model_path
from knee_attention.startup import command_line, start_for


def main(arguments: list[str] | None = None) -> None:
    """Print and write the table.

    Args:
        arguments: the command line without the program name; None: that of the process.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, type=as_path, metavar="DIR",
                        help="the folder with the films, DIR/0 to DIR/4, one knee in each")
    parser.add_argument("--model", default=DEFAULT, metavar="MODEL",
                        help="a model file, a run, or the name of a model that ships (default: "
                        f"{DEFAULT})")
    parser.add_argument("--title", default="another hospital", metavar="TEXT",
                        help="the films' name in the table (default: another hospital)")
    parser.add_argument("--output", type=as_path, metavar="FILE.csv", help="write the table")
    options = parser.parse_args(arguments)
    with command_line("other_hospitals.py"):
        if options.output and options.output.suffix.lower() != ".csv":
            raise InputError(f"{options.output}: the name of a table ends in .csv")
        path = model_path(options.model, ".onnx")
        start_for(path)
        import pandas as pd

        from knee_attention.files import write_table
        from knee_attention.grading.grader import load_grader
        from knee_attention.grading.local_calibration import (
            graded_films,
            refuse_training_persons,
        )
        from knee_attention.grading.other_hospitals import other_hospital, own_validation

        films = graded_films(options.data)
        grader = load_grader(path)
        refuse_training_persons(grader.description, options.data, films)
        rows = [*own_validation(grader),
                *other_hospital(grader, options.title, options.data, films)]
        print(pd.DataFrame(rows).to_string(index=False))
        if options.output:
            write_table(options.output, list(rows[0]), rows)


if __name__ == "__main__":
    main()
