"""The allocator keeps freed memory where a run asks for it, and leaves the settings of the user alone."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from zoo.training.malloc import keep_freed_memory

PROGRAM = """
import ctypes, resource
from zoo.training.malloc import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        block = bytearray(64 << 20)  # calloc clears memory that was kept, and gets mapped pages cleared
        ctypes.memset((ctypes.c_char * len(block)).from_buffer(block), 1, len(block))
        del block
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = faults()
print(keep_freed_memory(), before, (faults(), faults())[1])
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_memory_that_was_freed_is_not_faulted_in_again() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    configured, before, after = done.stdout.split()
    assert configured == "True"
    assert int(before) > 100  # with huge pages 32 for each block, without them 16,384
    assert int(after) < 10


@pytest.mark.parametrize("name", ["MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"])
def test_settings_of_the_user_stay(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "glibc.malloc.trim_threshold=131072")
    assert not keep_freed_memory()
