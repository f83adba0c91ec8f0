"""An index that was saved, asked in a process that knows nothing of this one."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

ASK = """
import json, sys
import numpy as np
from artsearch.index.factory import load_index

index = load_index(sys.argv[1])
answers = [index.search("003.jpg", 8), index.search(np.arange(24) / 24, 8)]
print(json.dumps([(ids, distances.tolist()) for ids, distances in answers]))
"""


def same_apart(index, folder: Path) -> bool:
    """Save an index of 24 dimensions, and tell whether a fresh process finds what it finds."""
    expected = [index.search("003.jpg", 8), index.search(np.arange(24) / 24, 8)]
    words = [sys.executable, "-c", ASK, index.save(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return json.loads(done.stdout) == [[ids, distances.tolist()] for ids, distances in expected]
