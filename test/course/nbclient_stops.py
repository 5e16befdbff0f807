"""Runs a notebook with nbclient, and prints as JSON how it ended. Usage: nbclient_stops.py NOTEBOOK. Run by jupyter.test.ts."""
import json
import sys

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

notebook = nbformat.read(sys.argv[1], as_version=4)
client = NotebookClient(notebook, kernel_name="kubebook", timeout=60, resources={"metadata": {"path": sys.argv[2]}})
ended = "ok"
try:
    client.execute()
except CellExecutionError as error:
    ended = f"{error.ename}: {error.evalue}"
nbformat.validate(notebook)
cells = [[cell.execution_count, [output.output_type for output in cell.outputs]] for cell in notebook.cells]
print(json.dumps({"ended": ended, "cells": cells, "language": notebook.metadata.get("language_info", {}).get("name")}))
