"""Loads the notebook plugin for every pytest run, whichever folder it is given (pyproject.toml: pythonpath)."""

pytest_plugins = ["notebook_plugin"]
