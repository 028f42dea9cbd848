"""Make the package's layers known to Keras without importing Keras for it."""

import importlib
import importlib.util
import sys

LAYERS = "knee_attention.networks.layers"


def register_layers() -> None:
    """Register the layers now if Keras is imported, else as soon as it is."""
    if "keras" in sys.modules:
        importlib.import_module(LAYERS)
    else:
        sys.meta_path.insert(0, _KerasFinder())


class _KerasFinder:
    """Finds Keras as the other finders do, and has the layers imported after it."""

    def find_spec(self, name, path=None, target=None):
        if name != "keras":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None:
            execute = spec.loader.exec_module

            def execute_and_register(module):
                execute(module)
                importlib.import_module(LAYERS)

            spec.loader.exec_module = execute_and_register
        return spec
