"""Write model.h5 and film.png into this folder, to test an installed wheel."""

from importlib.resources import files

import cv2

from knee_attention import build_model, phantom_film
from knee_attention.networks.files.model_files import save_model

(files("knee_attention.evidence.report") / "page.css").read_text()
model = build_model("antony_clsf", ("att0",), "single", (96, 96))
save_model(model, "model.h5", {"name": "random weights"})
cv2.imwrite("film.png", phantom_film((1, 3), seed=0).image)
