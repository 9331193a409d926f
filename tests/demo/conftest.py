"""What the tests of the demo models share."""

import pytest
import torch


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Small matrices: more threads than one would mostly wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
