"""Small HDF5 files of made-up numbers, as h5py writes them in the latest format: every layout and index of chunks that is read, ids as texts of any length.

    pip install h5py && python tests/data/hdf5/make.py

`tests/readers_binary.rs` reads them: element (n, t, lead) is (7 n + 3 t + 11 lead) mod 101 - 50, in µV.
"""

import pathlib

import h5py
import numpy as np

N, T, LEADS = 30, 64, 12
n, t, lead = np.ogrid[:N, :T, :LEADS]
values = (7 * n + 3 * t + 11 * lead) % 101 - 50


def write(name, count, kind, early=False, **layout):
    here = pathlib.Path(__file__).parent
    with h5py.File(here / f"{name}.h5", "w", libver="latest") as file:
        space = h5py.h5s.create_simple((count, T, LEADS))
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        if early:
            plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        if "chunks" in layout:
            plan.set_chunk(layout["chunks"])
        if layout.get("packed"):
            plan.set_shuffle()
            plan.set_deflate(9)
            plan.set_fletcher32()
        array = h5py.h5d.create(file.id, b"tracings", h5py.h5t.py_create(np.dtype(kind)), space, plan)
        array.write(h5py.h5s.ALL, h5py.h5s.ALL, np.ascontiguousarray(values[:count].astype(kind)))
        dataset = file["tracings"]
        dataset.attrs["units"], dataset.attrs["fs"] = "uV", 250.0
        file.create_dataset("exam_id", data=[f"e{at}" for at in range(count)], dtype=h5py.string_dtype())


write("contiguous", 3, "<i2")
write("single", 3, ">i2", chunks=(3, T, LEADS))
write("packed_single", 3, "<f4", chunks=(3, T, LEADS), packed=True)
write("implicit", 3, "<i2", early=True, chunks=(2, 40, 5))
write("fixed", 3, "<f4", chunks=(2, 40, 5), packed=True)
write("paged", N, "<i1", chunks=(1, 1, LEADS))
