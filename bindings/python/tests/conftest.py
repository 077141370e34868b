import numpy as np
import pytest

import cardiograd


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """48 simulated ECGs."""
    return cardiograd.Dataset.simulate(tmp_path_factory.mktemp("data") / "ecgs", 48, seed=1)


@pytest.fixture(scope="session")
def model(data):
    """A small network that has seen them."""
    return cardiograd.train(data, "qrs", "median", epochs=1, arch="standardconv")


@pytest.fixture(scope="session")
def x(data):
    """Two median beats, (2, 12, 600) µV."""
    return np.array(data.median[:2])


NINE = [name for name in list(cardiograd.METHODS)[:10] if name != "random"]
