
import cv2
import h5py
import numpy as np
import pytest

from knee_attention.data_prep.hdf5_sets import write_hdf5
from knee_attention.data_prep.verification import verify
from knee_attention.datasets.dataset import load_dataset
from knee_attention.datasets.hdf5 import read_contents
from knee_attention.errors import InputError
from knee_attention.films.image_files import read_image
from knee_attention.films.legs import id_and_side, split_knees
from knee_attention.films.preparation import Preparation
from knee_attention.films.radiograph import prepare_knee
from knee_attention.phantoms.film import phantom_film

SIZE = (96, 96)


def store(path, folder):
    """Write the knees of a data folder into an HDF5 file."""
    rows = []
    for split, knees in load_dataset(folder, SIZE).splits.items():
        for file, grade, subject in zip(knees.files, knees.grades, knees.subjects, strict=True):
            name, side = id_and_side(file)
            height, width = read_image(folder / file).shape
            rows.append({"file": file, "id": name, "side": side, "subject": subject, "kl": grade,
                         "split": split, "height": height, "width": width, "pixels": file})
    write_hdf5(path, rows, folder)


@pytest.mark.parametrize("limit", [None, 9])
@pytest.mark.parametrize("preparation", [None, Preparation(crop="square", displaced=True)])
def test_hdf5_gives_the_same_knees_as_the_folder(knee_folder, tmp_path, limit, preparation):
    store(tmp_path / "knees.h5", knee_folder)
    folder = load_dataset(knee_folder, SIZE, limit, preparation=preparation)
    file = load_dataset(tmp_path / "knees.h5", SIZE, limit, preparation=preparation)
    for split, knees in folder.splits.items():
        ours = file.splits[split]
        np.testing.assert_array_equal(ours.images, knees.images)
        np.testing.assert_array_equal(ours.grades, knees.grades)
        assert ours.subjects == knees.subjects
        if preparation:
            np.testing.assert_array_equal(ours.masks, knees.masks)
            assert 0 < np.mean(knees.masks[0]) < 0.1
        else:
            assert ours.masks is None and knees.masks is None


def test_negatives_in_an_hdf5_file_are_inverted(tmp_path):
    film = phantom_film((1, 3), 5, 256).image
    right = prepare_knee(split_knees(film, "auto")["R"], SIZE)
    for split in ("train", "validation"):
        (tmp_path / split / "1").mkdir(parents=True)
        for name, knee in (("1R", right), ("2R", ~right), ("3R", right)):
            cv2.imwrite(str(tmp_path / split / "1" / f"{split}{name}.png"), knee)
    store(tmp_path / "knees.h5", tmp_path)
    knees = load_dataset(tmp_path / "knees.h5", SIZE).splits["train"]
    assert knees.inverted == ["train2_R"]
    for image in knees.images:
        np.testing.assert_array_equal(image, prepare_knee(right, SIZE))
    as_is = load_dataset(tmp_path / "knees.h5", SIZE, polarity="as-is").splits["train"]
    np.testing.assert_array_equal(as_is.images[1], prepare_knee(~right, SIZE))


def test_files_that_are_no_data_set_are_refused(tmp_path):
    (tmp_path / "text.h5").write_text("no hdf5")
    with pytest.raises(InputError, match="not an HDF5 file"):
        load_dataset(tmp_path / "text.h5", SIZE)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["weights"] = [1.0]
    for read in (lambda path: load_dataset(path, SIZE), verify):
        with pytest.raises(InputError, match="its attribute format is not 'knee_attention"):
            read(tmp_path / "other.h5")
    (tmp_path / "knees.zip").write_bytes(b"PK")
    with pytest.raises(InputError, match="expected a data folder or an .h5 file"):
        load_dataset(tmp_path / "knees.zip", SIZE)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("subjects", None, "lacks subjects"),
        ("grades", np.full(40, 5, np.int8), "grades other than 0 to 4"),
        ("grades", np.zeros(39, np.int8), "differ in length"),
        ("splits", ["val"] * 40, "splits other than train, validation, test"),
        ("ids", np.zeros(40), "not an HDF5 file, or a damaged one"),
    ],
)
def test_loader_and_verifier_refuse_the_same_columns(
    knee_folder, tmp_path, column, values, message
):
    path = tmp_path / "knees.h5"
    store(path, knee_folder)
    with h5py.File(path, "a") as file:
        del file[column]
        if values is not None:
            file[column] = values
    for read in (lambda: load_dataset(path, SIZE), lambda: verify(path)):
        with pytest.raises(InputError, match=message):
            read()


def test_a_damaged_image_in_an_hdf5_file_is_named(knee_folder, tmp_path):
    path = tmp_path / "knees.h5"
    store(path, knee_folder)
    with h5py.File(path, "a") as file:
        images = file["images"][:]
        del file["images"]
        file.create_dataset("images", data=images, chunks=(1, *SIZE), compression="gzip")
        place, length = (getattr(file["images"].id.get_chunk_info(0), name)
                         for name in ("byte_offset", "size"))  # fmt: skip
    content = bytearray(path.read_bytes())
    content[place : place + length] = bytes(length)
    path.write_bytes(content)
    for read in (lambda: load_dataset(path, SIZE), lambda: verify(path)):
        with pytest.raises(InputError, match="knees.h5: .*a damaged file; its image 0"):
            read()


def test_what_lies_in_other_files_is_not_read(knee_folder, tmp_path, elsewhere):
    path = tmp_path / "knees.h5"
    store(path, knee_folder)
    with h5py.File(path, "a") as file:
        elsewhere(file, "images")
    for read in (lambda: load_dataset(path, SIZE), lambda: verify(path)):
        with pytest.raises(InputError, match="images lies in another file"):
            read()


def test_knees_that_cannot_be_displaced_are_refused_when_they_are_loaded(knee_folder, tmp_path):
    path = tmp_path / "knees.h5"
    store(path, knee_folder)
    crops = Preparation(crop="square", displaced=True)
    with h5py.File(path, "a") as file:
        images = np.pad(file["images"][:], ((0, 0), (0, 40), (0, 0)), mode="reflect")
        del file["images"]
        file["images"] = images
    name = read_contents(path).names[0]
    reason = f"knees.h5: {name} cannot be prepared: not a square crop"
    with pytest.raises(InputError, match=reason):
        load_dataset(path, SIZE, preparation=crops)
