"""Runs a notebook with nbclient in a kernel, and prints as JSON each code cell's reply, and the notebook as it is then.

Usage: run_notebook.py NOTEBOOK KERNEL FOLDER. Run by foreign.test.ts.
"""
import json
import sys

import nbformat
from nbclient import NotebookClient

path, kernel, folder = sys.argv[1:]
notebook = nbformat.read(path, as_version=4)
for cell in notebook.cells:
    if cell.cell_type == "code":
        cell.outputs, cell.execution_count = [], None
replies = {}
client = NotebookClient(
    notebook,
    kernel_name=kernel,
    timeout=120,
    allow_errors=True,
    resources={"metadata": {"path": folder}},
    on_cell_executed=lambda cell, cell_index, execute_reply: replies.update(
        {cell_index: execute_reply["content"]["status"]}
    ),
)
client.execute()
nbformat.validate(notebook)

def merged(outputs):
    """Pieces of one stream that follow one another are one output, as a page shows them."""
    whole = []
    for output in outputs:
        if whole and output.output_type == whole[-1].output_type == "stream" and output.name == whole[-1].name:
            whole[-1].text += output.text
        else:
            whole.append(output)
    return whole


for cell in notebook.cells:
    if cell.cell_type == "code":
        cell.outputs = merged(cell.outputs)
code = [index for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
print(json.dumps({"replies": [replies.get(index) for index in code], "notebook": nbformat.writes(notebook)}))
