"""The reader that is written from docs/format.md alone, as a module: tools/varve-rescue."""
import importlib.machinery
import importlib.util
import os
import sys

sys.dont_write_bytecode = True  # Nothing is left beside the program.
_path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "varve-rescue")
_spec = importlib.util.spec_from_loader("varve_rescue", importlib.machinery.SourceFileLoader("varve_rescue", _path))
rescue = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(rescue)
